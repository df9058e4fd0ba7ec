import { once } from "node:events";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import http2 from "node:http2";
import https from "node:https";
import net, { type AddressInfo, type Server, type Socket } from "node:net";
import tls from "node:tls";
import express from "express";
import express4 from "express4";
import Fastify from "fastify";
import { beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { expressBough } from "../express/index.js";
import { fastifyBough } from "../fastify/index.js";
import { fakeSweeps } from "../../test/support/fake-sweeps.js";
import { certificate } from "../../test/support/certificate.js";
import { deferred } from "../../test/support/deferred.js";
import { serverScope, type ShutdownReport } from "./index.js";

type Handler = (request: IncomingMessage, response: ServerResponse) => unknown;

interface Host {
  readonly server: Server;
  /** The frameworks' own way, where they have one. */
  readonly shutdown: (grace: number) => Promise<ShutdownReport>;
}

/** More than the buffers of the operating system hold. */
const body = Buffer.alloc(16_000_000, 120);

const nodeHost = (server: Server): Host => {
  serverScope(server);
  return { server, shutdown: (grace) => serverScope(server).shutdown({ grace }) };
};

/** The server's scope is made by the first request: what is open by then was opened before. */
const expressHost = (create: typeof express, handler: Handler): Host => {
  const app = create();
  app.use(expressBough());
  app.get("/warm-up", (_request, response) => void response.end("warm"));
  app.get("/", handler);
  const server = http.createServer(app);
  return { server, shutdown: (grace) => serverScope(server).shutdown({ grace }) };
};

const fastifyHost = async (handler: Handler, options: object): Promise<Host> => {
  const app = Fastify(options);
  await app.register(fastifyBough, { grace: 60_000 });
  app.get("/warm-up", () => "warm");
  app.get("/", (request, reply) => {
    reply.hijack();
    return handler(request.raw, reply.raw);
  });
  await app.ready();
  const { scope } = app;
  const shutdown = async (): Promise<ShutdownReport> => {
    await app.close();
    return scope.shutdown();
  };
  // As `app.listen()` would, so that `close()` takes the server for its own.
  await app.listen({ port: 0, host: "127.0.0.1" });
  return { server: app.server, shutdown };
};

const hosts: Record<string, (handler: Handler) => Host | Promise<Host>> = {
  "node:http": (handler) => nodeHost(http.createServer(handler)),
  "node:http, its scope made at the shutdown": (handler) => {
    const server = http.createServer(handler);
    return { server, shutdown: (grace) => serverScope(server).shutdown({ grace }) };
  },
  "node:https": (handler) => nodeHost(https.createServer(certificate, handler)),
  "node:http2": (handler) => nodeHost(http2.createServer(handler as never)),
  "node:http2 with TLS": (handler) => nodeHost(http2.createSecureServer(certificate, handler as never)),
  Express: (handler) => expressHost(express, handler),
  "Express 4": (handler) => expressHost(express4, handler),
  Fastify: (handler) => fastifyHost(handler, {}),
  "Fastify with forceCloseConnections": (handler) => fastifyHost(handler, { forceCloseConnections: true }),
  "Fastify without forceCloseConnections": (handler) =>
    fastifyHost(handler, { forceCloseConnections: false }),
};

interface Download {
  /** Begins to read. */
  read(): void;
  /** How many bytes arrived, when the connection is over. */
  readonly received: Promise<number>;
}

/** Asks for `/`, and reads nothing of the answer before it is told to. */
async function download(host: string, port: number): Promise<Download> {
  const received = deferred<number>();
  let count = 0;
  if (host.includes("http2")) {
    const origin = `${host.includes("TLS") ? "https" : "http"}://127.0.0.1:${port}`;
    const session = http2.connect(origin, { rejectUnauthorized: false });
    session.on("error", () => undefined);
    onTestFinished(() => session.destroy());
    const stream = session.request({ ":path": "/" });
    stream.on("error", () => undefined);
    stream.on("close", () => received.resolve(count));
    await once(stream, "response");
    return {
      read: () => stream.on("data", (chunk: Buffer) => (count += chunk.length)),
      received: received.promise,
    };
  }
  const options = { port, host: "127.0.0.1", rejectUnauthorized: false };
  const socket = host.includes("https") ? tls.connect(options) : net.connect(options);
  onTestFinished(() => void socket.destroy());
  socket.on("error", () => undefined);
  socket.on("close", () => received.resolve(count));
  socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  const read = (): void => {
    let head = "";
    socket.on("data", (chunk: Buffer) => {
      if (head.includes("\r\n\r\n")) return void (count += chunk.length);
      head += chunk.toString("latin1");
      const end = head.indexOf("\r\n\r\n");
      if (end >= 0) count += head.length - end - 4;
    });
  };
  return { read, received: received.promise };
}

/** Opens a connection that says `text` and no more. */
async function say(port: number, text = "", secure = false): Promise<Socket> {
  const options = { port, host: "127.0.0.1", rejectUnauthorized: false };
  const socket = secure ? tls.connect(options) : net.connect(options);
  onTestFinished(() => void socket.destroy());
  socket.on("error", () => undefined);
  await once(socket, secure ? "secureConnect" : "connect");
  if (text !== "") socket.write(text);
  return socket;
}

async function start(host: string, handler: Handler): Promise<Host & { readonly port: number }> {
  const made = await (hosts[host] as (typeof hosts)[string])(handler);
  const { server } = made;
  if (!server.listening) {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
  }
  onTestFinished(() => void server.close());
  return { ...made, port: (server.address() as AddressInfo).port };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Lets time pass for the shutdown's sweeps, until `promise` is settled. */
async function sweepUntil<T>(promise: Promise<T>): Promise<T> {
  let settled = false;
  const over = (): void => void (settled = true);
  promise.then(over, over);
  while (!settled) {
    vi.advanceTimersByTime(100);
    await turn();
  }
  return promise;
}

async function accepted(server: Server, count: number): Promise<void> {
  for (;;) {
    const open = await new Promise<number>((resolve) => server.getConnections((_, found) => resolve(found)));
    if (open >= count) return;
    await turn();
  }
}

beforeEach(fakeSweeps);

describe.each(Object.keys(hosts))("an answer on its way to a slow client: %s", (host) => {
  it.each(["before", "after"])(
    "rule 32: arrives to its last byte, when it had been ended %s the shutdown began",
    async (moment) => {
      const [arrived, go, ended] = [deferred(), deferred(), deferred()];
      const { port, shutdown } = await start(host, async (_request, response) => {
        response.setHeader("content-length", body.length);
        response.flushHeaders();
        arrived.resolve();
        if (moment === "after") await go.promise;
        response.end(body);
        ended.resolve();
      });
      const client = await download(host, port);
      await (moment === "before" ? ended : arrived).promise;
      const report = shutdown(60_000);
      await turn();
      vi.advanceTimersByTime(2_000); // time enough to close what is taken for idle
      go.resolve();
      await ended.promise;
      await turn();
      vi.advanceTimersByTime(2_000);
      client.read();
      expect(await sweepUntil(client.received)).toBe(body.length);
      expect(await sweepUntil(report)).toMatchObject({ running: 1, cancelled: 0, stuck: [], cutOff: 0 });
    },
  );
});

describe("an answer that a client does not take", () => {
  it.each(["node:http", "node:https", "node:http2", "Express"])(
    "rule 32: is cut off and counted when the grace period is over, and is neither cancelled nor stuck: %s",
    async (host) => {
      const ended = deferred();
      const { port, shutdown } = await start(host, (_request, response) => {
        response.setHeader("content-length", body.length);
        response.end(body);
        ended.resolve();
      });
      const client = await download(host, port);
      await ended.promise;
      const report = shutdown(20);
      expect(await sweepUntil(report)).toMatchObject({ running: 1, cancelled: 0, stuck: [], cutOff: 1 });
      client.read();
      expect(await client.received).toBeLessThan(body.length);
    },
  );

  it("rule 32: counts the responses that were cut off in the middle, and not the responses that were complete in time", async () => {
    const arrived = [deferred(), deferred(), deferred()];
    const { port, shutdown } = await start("node:http", (request, response) => {
      if (request.url === "/done") response.end("done");
      else if (request.url === "/stuck") response.write("begun");
      else response.end(body);
      arrived[["/done", "/stuck", "/"].indexOf(request.url as string)]?.resolve();
    });
    await say(port, "GET /done HTTP/1.1\r\nHost: a\r\n\r\n");
    await say(port, "GET /stuck HTTP/1.1\r\nHost: a\r\n\r\n");
    const client = await download("node:http", port);
    for (const { promise } of arrived) await promise;
    const report = await sweepUntil(shutdown(0));
    expect(report).toMatchObject({ cancelled: 1, stuck: [{ path: "server/GET /stuck" }], cutOff: 2 });
    client.read();
    expect(await client.received).toBeLessThan(body.length);
  });

  it("is not cut off by the server's close() either", async () => {
    const ended = deferred();
    const { port, server } = await start("node:http", (_request, response) => {
      response.end(body);
      ended.resolve();
    });
    const client = await download("node:http", port);
    await ended.promise;
    await turn();
    server.close();
    client.read();
    let open = true;
    server.once("close", () => (open = false));
    while (open) {
      (server as http.Server).closeIdleConnections();
      await turn();
    }
    expect(await client.received).toBe(body.length);
  });
});

describe("a connection without a request", () => {
  const head = "GET / HTTP/1.1\r\nHo";
  const upload = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\na";
  /** The connection preface of HTTP/2, and an empty SETTINGS frame. */
  const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u0004\0\0\0\0\0";

  it.each([
    ["node:http", "nothing", ""],
    ["node:http", "half a header", head],
    ["node:http", "a body that is answered and never complete", upload],
    ["node:http, its scope made at the shutdown", "nothing", ""],
    ["node:http, its scope made at the shutdown", "half a header", head],
    ["node:https", "no TLS handshake", ""],
    ["node:https", "half a TLS handshake", "\u0016\u0003\u0001"],
    ["node:https", "nothing after the TLS handshake", "secure"],
    ["node:http2", "nothing", ""],
    ["node:http2", "a preface and no stream", preface],
    ["node:http2 with TLS", "no TLS handshake", ""],
    ["Express", "nothing", ""],
    ["Express", "half a header", head],
    ["Express 4", "nothing", ""],
    ["Fastify", "nothing", ""],
    ["Fastify", "half a header", head],
    ["Fastify without forceCloseConnections", "nothing", ""],
  ])("rule 32: does not hold up a shutdown: %s, %s", async (host, _what, text) => {
    const { port, server, shutdown } = await start(host, (_request, response) => response.end("early"));
    const secure = text === "secure";
    const silent = await say(port, secure ? "" : text, secure);
    silent.resume();
    if (host.startsWith("Express")) {
      // Opened before the server had a scope, which this request makes.
      const other = await say(port, "GET /warm-up HTTP/1.1\r\nHost: a\r\n\r\n");
      await once(other, "data");
      await accepted(server, 2);
    } else await accepted(server, 1);
    await turn();
    // Node 26 may close it before it has read anything, with a reset.
    const closed = new Promise((resolve) => silent.once("close", resolve));
    const report = shutdown(60_000);
    let sweeps = 0;
    let over = false;
    void report.then(() => (over = true));
    while (!over && sweeps < 10) {
      vi.advanceTimersByTime(100);
      sweeps += 1;
      for (let i = 0; i < 20 && !over; i++) await turn();
    }
    expect(over).toBe(true);
    expect(await report).toMatchObject({ running: 0, cancelled: 0, stuck: [], cutOff: 0 });
    await closed;
  });

  it("rule 32: delivers the whole request that was in transit", async () => {
    const { port, shutdown } = await start("node:http", (_request, response) => response.end("answered"));
    const client = await say(port, "GET / HT");
    await turn();
    const report = shutdown(60_000);
    await turn();
    vi.advanceTimersByTime(100);
    client.write("TP/1.1\r\nHost: a\r\n\r\n");
    expect(String((await once(client, "data"))[0])).toMatch(/connection: close[^]*answered/i);
    expect(await sweepUntil(report)).toMatchObject({ stuck: [], cutOff: 0 });
  });

  it("rule 32: is closed while a request of another is still being answered", async () => {
    const arrived = deferred<ServerResponse>();
    const { port, shutdown } = await start("node:http", (_request, response) => arrived.resolve(response));
    const silent = await say(port);
    const busy = await say(port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const response = await arrived.promise;
    const closed = once(silent, "close");
    silent.resume();
    const report = shutdown(60_000);
    await sweepUntil(closed);
    response.end("late");
    expect(String((await once(busy, "data"))[0])).toContain("late");
    expect(await sweepUntil(report)).toMatchObject({ running: 1, cancelled: 0, stuck: [] });
  });

  it("rule 32: a connection that trickles bytes and never a request is closed, too", async () => {
    const { port, shutdown } = await start("node:http", (_request, response) => response.end());
    const client = await say(port, "GET / HTTP/1.1\r\n");
    client.resume();
    let open = true;
    client.on("close", () => (open = false));
    const report = shutdown(60_000);
    for (let sweep = 0; open && sweep < 20; sweep++) {
      client.write("x: y\r\n");
      vi.advanceTimersByTime(100);
      for (let i = 0; i < 20 && open; i++) await turn();
    }
    expect(open).toBe(false);
    expect(await sweepUntil(report)).toMatchObject({ stuck: [] });
  });
});

describe("a request that was there before the server's scope", () => {
  it("rule 32: is waited for, and counted", async () => {
    const arrived = deferred<ServerResponse>();
    const { port, shutdown } = await start(
      "node:http, its scope made at the shutdown",
      (_request, response) => arrived.resolve(response),
    );
    const client = await say(port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const response = await arrived.promise;
    const report = shutdown(60_000);
    await turn();
    vi.advanceTimersByTime(2_000);
    response.end("still there");
    expect(String((await once(client, "data"))[0])).toContain("still there");
    expect(await sweepUntil(report)).toMatchObject({ running: 1, cancelled: 0, stuck: [], cutOff: 0 });
  });
});
