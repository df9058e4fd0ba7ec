import { once } from "node:events";
import http from "node:http";
import http2, { type ClientHttp2Session, type ClientHttp2Stream, type ServerHttp2Stream } from "node:http2";
import net, { type AddressInfo, type Server } from "node:net";
import type { Duplex } from "node:stream";
import { describe, expect, it, onTestFinished } from "vitest";
import { certificate } from "../../test/support/certificate.js";
import { deferred } from "../../test/support/deferred.js";
import { requestScope, serverScope } from "./index.js";

// CONNECT: WebSocket over HTTP/2 (RFC 8441) and plain tunnels. Nothing of it may change because a server has a scope.

const settings = { enableConnectProtocol: true };
const makers: Record<string, () => http2.Http2Server | http2.Http2SecureServer> = {
  cleartext: () => http2.createServer({ settings }),
  TLS: () => http2.createSecureServer({ ...certificate, settings }),
};

async function listen(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

async function connect(port: number, kind = "cleartext"): Promise<ClientHttp2Session> {
  const scheme = kind === "TLS" ? "https" : "http";
  const session = http2.connect(`${scheme}://127.0.0.1:${port}`, { rejectUnauthorized: false });
  session.on("error", () => undefined);
  onTestFinished(() => session.destroy());
  await once(session, "remoteSettings");
  return session;
}

function openWebSocket(session: ClientHttp2Session): ClientHttp2Stream {
  const stream = session.request({
    ":method": "CONNECT",
    ":protocol": "websocket",
    ":path": "/chat",
    ":scheme": "http",
    ":authority": "a",
  });
  stream.on("error", () => undefined);
  return stream;
}

async function statusOf(stream: ClientHttp2Stream): Promise<unknown> {
  const [headers] = (await once(stream, "response")) as [Record<string, unknown>];
  return headers[":status"];
}

describe.each(Object.keys(makers))("WebSocket over HTTP/2 on a server with a scope: %s", (kind) => {
  const make = makers[kind] as () => http2.Http2Server;

  it.each(["before", "after"])(
    "is accepted by a listener for streams that was added %s the scope was made",
    async (moment) => {
      const server = make();
      const onStream = (stream: ServerHttp2Stream): void => {
        stream.respond({ ":status": 200 });
        stream.on("data", (chunk: Buffer) => stream.write(`echo ${String(chunk)}`));
      };
      if (moment === "before") server.on("stream", onStream);
      serverScope(server);
      if (moment === "after") server.on("stream", onStream);
      const stream = openWebSocket(await connect(await listen(server), kind));
      expect(await statusOf(stream)).toBe(200);
      stream.write("hello");
      expect(String((await once(stream, "data"))[0])).toBe("echo hello");
    },
  );

  it("rule 32: is left alone by a shutdown, and ended by a callback of onShutdown", async () => {
    const server = make();
    const scope = serverScope(server);
    const opened = deferred<ServerHttp2Stream>();
    server.on("stream", (stream) => {
      stream.respond({ ":status": 200 });
      opened.resolve(stream);
    });
    const client = openWebSocket(await connect(await listen(server), kind));
    expect(await statusOf(client)).toBe(200);
    const stream = await opened.promise;
    expect(await scope.shutdown({ grace: 60_000 })).toMatchObject({
      running: 0,
      cancelled: 0,
      stuck: [],
      cutOff: 0,
    });
    expect(server.listening).toBe(false);
    stream.write("still here");
    expect(String((await once(client, "data"))[0])).toBe("still here");
    stream.end();
    await once(server, "close");
  });

  it("rule 32: is closed when its listener closes it", async () => {
    const server = make();
    const scope = serverScope(server);
    server.on("stream", (stream) => {
      stream.respond({ ":status": 200 });
      const stop = scope.onShutdown(() => void stream.end("bye"));
      stream.on("close", stop);
    });
    const client = openWebSocket(await connect(await listen(server), kind));
    expect(await statusOf(client)).toBe(200);
    const said = once(client, "data");
    const closed = once(server, "close");
    await scope.shutdown({ grace: 60_000 });
    expect(String((await said)[0])).toBe("bye");
    await closed;
  });
});

describe("a server of HTTP/2 that answers streams", () => {
  it("rule 32: a shutdown waits for them, and sends the answer to its last byte", async () => {
    const server = http2.createServer();
    const scope = serverScope(server);
    const [arrived, go] = [deferred(), deferred()];
    const body = "x".repeat(1_000_000);
    server.on("stream", (stream) => {
      arrived.resolve();
      void go.promise.then(() => {
        stream.respond({ ":status": 200 });
        stream.end(body);
      });
    });
    const stream = (await connect(await listen(server))).request({ ":path": "/" });
    await arrived.promise;
    const report = scope.shutdown({ grace: 60_000 });
    go.resolve();
    let text = "";
    stream.on("data", (chunk) => (text += String(chunk)));
    await once(stream, "end");
    expect(text.length).toBe(body.length);
    expect(await report).toMatchObject({ running: 1, stuck: [], cutOff: 0 });
  });

  it("rule 32: requests without an answer get 503 when the time is up, and answers that have begun are cut off", async () => {
    const server = http2.createServer();
    const scope = serverScope(server);
    const begun = deferred();
    server.on("stream", (stream, headers) => {
      stream.on("error", () => undefined);
      if (headers[":path"] !== "/begun") return;
      stream.respond({ ":status": 200 });
      stream.write("begun");
      begun.resolve();
    });
    const session = await connect(await listen(server));
    const [silent, cut] = [session.request({ ":path": "/" }), session.request({ ":path": "/begun" })];
    cut.resume();
    const failed = once(cut, "error");
    await begun.promise;
    const report = scope.shutdown({ grace: 0 });
    const answered = statusOf(silent);
    expect(await report).toMatchObject({ running: 2, cutOff: 1 });
    expect(await answered).toBe(503);
    expect((await failed)[0]).toMatchObject({ code: "ERR_HTTP2_STREAM_ERROR" });
  });

  it.each(["before", "after"])(
    "a listener for requests that was added %s the scope gets the same events as without a scope",
    async (moment) => {
      const server = http2.createServer({ settings });
      const onRequest = (request: http2.Http2ServerRequest, response: http2.Http2ServerResponse): void =>
        void response.end(requestScope(request, response).path);
      if (moment === "before") server.on("request", onRequest);
      const scope = serverScope(server, { timeout: 60_000 });
      if (moment === "after") server.on("request", onRequest);
      const session = await connect(await listen(server));
      const stream = session.request({ ":path": "/hello" });
      expect(String((await once(stream, "data"))[0])).toBe("server/GET /hello");
      expect(await statusOf(openWebSocket(session))).toBe(405); // Node's, since there is no listener for `connect`
      expect(await scope.shutdown()).toMatchObject({ stuck: [] });
    },
  );

  it("a listener for connect gets its requests, which may have a scope", async () => {
    const server = http2.createServer({ settings });
    const scope = serverScope(server);
    server.on("request", (_request, response) => void response.end());
    server.on("connect", (request: http2.Http2ServerRequest, response: http2.Http2ServerResponse) => {
      requestScope(request, response);
      response.writeHead(200);
      response.write("open");
      scope.onShutdown(() => void response.end());
    });
    const session = await connect(await listen(server));
    const stream = openWebSocket(session);
    expect(await statusOf(stream)).toBe(200);
    stream.resume();
    expect(await scope.shutdown({ grace: 60_000 })).toMatchObject({ running: 1, cancelled: 0, stuck: [] });
  });
});

describe("CONNECT over HTTP/1.1 on a server with a scope", () => {
  it.each(["with a listener", "without a listener"])(
    "behaves like a server without a scope, %s",
    async (how) => {
      const server = http.createServer((_request, response) => response.end());
      const scope = serverScope(server);
      const tunnel = deferred<Duplex>();
      if (how === "with a listener")
        server.on("connect", (_request, socket: Duplex) => {
          socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
          tunnel.resolve(socket);
        });
      const client = net.connect(await listen(server), "127.0.0.1");
      onTestFinished(() => void client.destroy());
      client.on("error", () => undefined);
      const closed = once(client, "close");
      client.write("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n");
      if (how === "without a listener") {
        client.resume();
        await closed; // Node closes it
        return void (await scope.shutdown());
      }
      expect(String((await once(client, "data"))[0])).toContain("200");
      expect(await scope.shutdown({ grace: 60_000 })).toMatchObject({ running: 0, stuck: [] });
      const socket = await tunnel.promise;
      socket.write("still here");
      expect(String((await once(client, "data"))[0])).toBe("still here");
      socket.destroy();
    },
  );
});
