import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import Fastify, { type FastifyReply, type FastifyRequest } from "fastify";
import { describe, expect, it, onTestFinished } from "vitest";
import { requestScope, serverScope } from "../http/index.js";
import { sleep, spawn, type CancelledError, type Scope } from "../index.js";
import { deferred, flush, rejection } from "../../test/support/deferred.js";
import { INFO, listen, makeApp, type TestApp } from "../../test/support/fastify-app.js";
import { RawConnection } from "../../test/support/http-clients.js";
import defaultExport, { fastifyBough } from "./index.js";

const boom = new Error("boom");

/** Lets `server` listen, and opens a connection to it. */
async function connectTo(server: http.Server): Promise<RawConnection> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = new RawConnection((server.address() as AddressInfo).port);
  onTestFinished(() => void client.socket.destroy());
  return client;
}

describe("fastifyBough", () => {
  it("applies its timeout to a route that was declared before it was registered", async () => {
    const app = Fastify();
    onTestFinished(() => app.close());
    const scope = deferred<Scope>();
    app.get("/", { config: { bough: { timeout: 1 } } }, async (request) => {
      scope.resolve(request.scope);
      await sleep(request.scope, 60_000);
    });
    await app.register(fastifyBough);
    expect((await app.inject("/")).statusCode).toBe(503);
    expect((await scope.promise).reason?.kind).toBe("deadline");
  });

  it("rule 31: is a plugin as Fastify's own are", async () => {
    expect(defaultExport).toBe(fastifyBough);
    const meta = fastifyBough as unknown as Record<symbol, unknown>;
    expect(meta[Symbol.for("skip-override")]).toBe(true);
    expect(meta[Symbol.for("plugin-meta")]).toEqual({ name: "bough", fastify: "5.x" });
    const { app } = await makeApp();
    await app.ready();
    expect(app.hasPlugin("bough")).toBe(true);
    expect(app.scope).toBe(serverScope(app.server));
    expect(app.hasRequestDecorator("scope")).toBe(true);
  });

  it("rule 31: is encapsulated: it does not affect a sibling context", async () => {
    const app = Fastify();
    onTestFinished(() => app.close());
    await app.register(async (inner) => {
      await inner.register(fastifyBough);
      inner.get("/in", async (request) => request.scope.name);
    });
    app.get("/out", async (request) => `${"scope" in request}`);
    expect((await app.inject("/in")).body).toBe("GET /in");
    expect((await app.inject("/out")).body).toBe("false");
    expect("scope" in app).toBe(false);
  });

  it("works for routes that were declared before it was loaded", async () => {
    const app = Fastify();
    onTestFinished(() => app.close());
    void app.register(fastifyBough, { timeout: 5 });
    app.get("/", async (request) => {
      await sleep(request.scope, 60_000);
    });
    expect((await app.inject("/")).statusCode).toBe(503);
  });

  it("rule 31: request.scope is the scope that requestScope() returns, in every hook", async () => {
    const { app } = await makeApp();
    const seen: Scope[] = [];
    const note = async (request: FastifyRequest): Promise<void> => void seen.push(request.scope);
    app.addHook("onRequest", note);
    app.addHook("preHandler", note);
    app.addHook("onResponse", note);
    app.get("/users/:id", async (request, reply) => {
      seen.push(request.scope, requestScope(request.raw, reply.raw));
      return "ok";
    });
    await app.inject("/users/1?token=secret");
    expect(seen).toHaveLength(5);
    expect(new Set(seen).size).toBe(1);
    expect(seen[0]?.path).toBe("server/GET /users/:id");
  });

  it("refuses a timeout of a route that makes no sense, when the route is declared", async () => {
    const { app } = await makeApp();
    expect(() => app.get("/", { config: { bough: { timeout: -1 } } }, () => "x")).toThrow(RangeError);
  });

  it("rule 31: has a timeout for each route, and one for the others", async () => {
    const { app, errors } = await makeApp({ timeout: 5 });
    const wait = async (request: FastifyRequest): Promise<string> => {
      await sleep(request.scope, 20);
      return "done";
    };
    app.get("/default", wait);
    app.get("/longer", { config: { bough: { timeout: 5_000 } } }, wait);
    app.get("/unlimited", { config: { bough: { timeout: Infinity } } }, wait);
    app.get("/deaf", () => new Promise(() => undefined));
    expect((await app.inject("/default")).json()).toEqual({
      statusCode: 503,
      error: "Service Unavailable",
      message: "Service Unavailable",
    });
    expect((await app.inject("/longer")).body).toBe("done");
    expect((await app.inject("/unlimited")).body).toBe("done");
    expect((await app.inject("/deaf")).statusCode).toBe(503);
    expect(errors).toEqual([]);
  });

  it("keeps the headers that hooks have set on an answer of bough", async () => {
    const { app } = await makeApp({ timeout: 5 });
    const responses: number[] = [];
    app.addHook(
      "onRequest",
      async (_request, reply) => void reply.header("access-control-allow-origin", "*"),
    );
    app.addHook("onResponse", async (_request, reply) => void responses.push(reply.raw.statusCode));
    app.get("/deaf", () => new Promise(() => undefined));
    app.get("/fails", async (request) => sleep(request.scope, 60_000));
    for (const path of ["/deaf", "/fails"]) {
      const response = await app.inject(path);
      expect(response).toMatchObject({ statusCode: 503, headers: { "access-control-allow-origin": "*" } });
    }
    expect(responses).toEqual([503, 503]);
  });

  it("rule 34: a header limits the request when the option is on", async () => {
    const { app } = await makeApp({ deadlineHeader: "X-Left" });
    app.get("/", () => new Promise(() => undefined));
    expect((await app.inject({ path: "/", headers: { "x-left": "5" } })).statusCode).toBe(504);
  });
});

describe("a request by inject()", () => {
  async function inject(
    handler: (request: FastifyRequest, reply: FastifyReply) => unknown,
    options: { method?: "GET" | "POST"; signal?: AbortSignal } = {},
  ): Promise<{
    scope: Promise<Scope>;
    response: Promise<{ statusCode: number; body: string }>;
    test: TestApp;
  }> {
    const test = await makeApp();
    const scope = deferred<Scope>();
    test.app.all("/", (request, reply) => {
      scope.resolve(request.scope);
      return handler(request, reply);
    });
    const { method = "POST", signal } = options;
    const response = test.app.inject({
      method,
      path: "/",
      ...(method === "POST" ? { payload: { a: 1 } } : {}),
      ...(signal === undefined ? {} : { signal }),
    });
    return { scope: scope.promise, response, test };
  }

  it("rule 28: is not cancelled when it is finished, with its body parsed", async () => {
    const { scope, response } = await inject(async (request) => {
      await sleep(request.scope, 1);
      return request.body;
    });
    expect((await response).body).toBe('{"a":1}');
    await flush();
    expect(await scope).toMatchObject({ cancelled: false, state: "closed" });
  });

  it("rule 28: is not cancelled when a stream has finished it", async () => {
    const { scope, response } = await inject((_request, reply) => reply.send(Readable.from(["a", "b"])));
    expect((await response).body).toBe("ab");
    await flush();
    expect(await scope).toMatchObject({ cancelled: false, state: "closed" });
  });

  it("rule 28: is cancelled when the client goes away", async () => {
    const controller = new AbortController();
    const { scope, response, test } = await inject(async (request) => sleep(request.scope, 60_000), {
      method: "GET", // inject() pays no attention to the signal once a body has been read
      signal: controller.signal,
    });
    const seen = await scope;
    controller.abort();
    await rejection(response);
    await flush();
    expect(seen.reason?.kind).toBe("disconnected");
    expect(test.errors).toEqual([]);
  });

  it("rule 32: is cancelled when the app closes, and answered", async () => {
    const test = await makeApp({ grace: 1 });
    const seen = deferred<Scope>();
    test.app.get("/", async (request) => {
      seen.resolve(request.scope);
      await sleep(request.scope, 60_000);
    });
    const response = test.app.inject("/");
    const scope = await seen.promise;
    await test.app.close();
    expect((await response).statusCode).toBe(503);
    expect(scope.reason?.kind).toBe("shutdown");
    expect(test.errors).toEqual([]);
    expect(test.complaints()).toEqual([]);
  });

  it("rule 29: cancels what still runs when the response is done", async () => {
    const { scope, response } = await inject(async (request) => {
      void spawn(request.scope, (inner) => sleep(inner, 60_000));
      return "done";
    });
    expect((await response).body).toBe("done");
    await flush();
    expect(await scope).toMatchObject({ reason: { kind: "closed" }, state: "closed" });
  });

  it("rule 30: passes other failures on", async () => {
    const { response, test } = await inject(async () => {
      throw boom;
    });
    expect(await response).toMatchObject({ statusCode: 500, body: "mine" });
    expect(test.errors).toEqual([boom]);
  });
});

describe("fastifyBough over sockets", () => {
  it("rule 30: logs a client that goes away as 499, and not as an error", async () => {
    const { app, log, errors, complaints } = await makeApp();
    const arrived = deferred<FastifyRequest>();
    app.get("/", async (request) => {
      arrived.resolve(request);
      await sleep(request.scope, 60_000);
    });
    const connect = await listen(app);
    const client = connect().request();
    await arrived.promise;
    client.abort();
    expect(await client.answer).toBeUndefined();
    await expect.poll(() => log.find(({ statusCode }) => statusCode === 499)).toMatchObject({ level: INFO });
    expect(errors).toEqual([]);
    expect(complaints()).toEqual([]);
  });

  it("rule 30: an upload that breaks off is not an error", async () => {
    const { app, log, errors, complaints } = await makeApp();
    const arrived = deferred();
    app.addHook("preParsing", async () => arrived.resolve());
    app.post("/", async () => "never");
    const connect = await listen(app);
    const headers = { "content-type": "application/json" };
    const client = connect().request({ method: "POST", body: '{"a"', length: 10, headers });
    await arrived.promise;
    client.abort();
    await expect.poll(() => log.find(({ statusCode }) => statusCode === 499)).toBeDefined();
    expect(errors).toEqual([]);
    expect(complaints()).toEqual([]);
  });

  it("rule 30: answers 504 when a call of the handler has exceeded its own timeout", async () => {
    const { app, errors } = await makeApp();
    app.get("/", async (request) => {
      await spawn(request.scope, (scope) => sleep(scope, 60_000), { timeout: 5 });
    });
    expect((await app.inject("/")).statusCode).toBe(504);
    expect(errors).toEqual([]);
  });

  it("rule 30: cuts off a response that has begun", async () => {
    const { app } = await makeApp({ timeout: 20 });
    app.get("/", async (request, reply) => {
      reply.send(
        Readable.from(
          (async function* () {
            yield "part";
            await sleep(request.scope, 60_000);
          })(),
        ),
      );
      return reply;
    });
    const connect = await listen(app);
    expect(await connect().request().answer).toMatchObject({ status: 200, body: "part", complete: false });
  });

  it("rule 30: Fastify handles a handler that fails after it has begun to answer", async () => {
    const { app, errors } = await makeApp();
    const seen = deferred<Scope>();
    app.get("/", async (request, reply) => {
      seen.resolve(request.scope);
      reply.raw.write("part");
      await flush();
      throw boom;
    });
    const connect = await listen(app);
    expect(await connect().request().answer).toMatchObject({ status: 200, body: "part", complete: false });
    expect(errors[0]).toBe(boom);
    const scope = await seen.promise;
    await expect.poll(() => scope.state).toBe("closed");
    expect(scope.reason?.kind).toBe("disconnected"); // Fastify has destroyed the connection
  });

  it("rule 30: a client that goes away while a stream is sent is not an error, and the stream is destroyed", async () => {
    const { app, errors, complaints } = await makeApp();
    const cleaned = deferred();
    const seen = deferred<Scope>();
    app.get("/", (request, reply) => {
      seen.resolve(request.scope);
      const lines = async function* (): AsyncGenerator<string> {
        try {
          yield "part";
          await sleep(request.scope, 60_000);
        } finally {
          cleaned.resolve();
        }
      };
      return reply.send(Readable.from(lines()));
    });
    const connect = await listen(app);
    const client = connect().request();
    await client.started;
    client.abort();
    await cleaned.promise;
    await flush();
    expect((await seen.promise).reason?.kind).toBe("disconnected");
    expect(errors).toEqual([]);
    expect(complaints()).toEqual([]);
  });

  it("rule 11: logs a task's failure without a receiver", async () => {
    const { app, complaints } = await makeApp();
    app.get("/", async (request) => {
      void spawn(request.scope, function audit() {
        throw boom;
      });
      return "ok";
    });
    await app.inject("/");
    await flush();
    expect(complaints()).toMatchObject([{ task: "server/GET //audit", err: { message: "boom" } }]);
  });

  it("rule 32: close() lets running requests finish, and does not wait for idle connections", async () => {
    const { app } = await makeApp();
    const arrived = deferred();
    const go = deferred();
    app.get("/idle", async () => "idle");
    app.get("/", async () => {
      arrived.resolve();
      await go.promise;
      return "done";
    });
    const connect = await listen(app);
    const idle = connect();
    await idle.request({ path: "/idle" }).answer;
    const busy = connect().request();
    await arrived.promise;
    const closed = app.close();
    await flush();
    go.resolve();
    expect(await busy.answer).toMatchObject({ status: 200, body: "done", complete: true });
    await closed;
    if (!idle.socket.closed) await once(idle.socket, "close");
    expect(app.scope.state).toBe("closed");
  });

  it("rule 32: close() cancels what does not finish, before the hooks onClose", async () => {
    const { app, errors } = await makeApp({ grace: 1 });
    const log: string[] = [];
    const arrived = deferred();
    const seen = deferred<CancelledError>();
    app.get("/", async (request) => {
      request.scope.onCancel(seen.resolve);
      request.scope.defer(() => void log.push("request cleaned"));
      arrived.resolve();
      await sleep(request.scope, 60_000);
    });
    app.addHook("onClose", async () => void log.push("onClose"));
    spawn(app.scope, async function job(scope) {
      scope.defer(() => void log.push("job cleaned"));
      await sleep(scope, 60_000);
    });
    const connect = await listen(app);
    const client = connect().request();
    await arrived.promise;
    await app.close();
    expect(await client.answer).toMatchObject({ status: 503, complete: true });
    expect((await seen.promise).kind).toBe("shutdown");
    expect(log.toSorted()).toEqual(["job cleaned", "onClose", "request cleaned"]);
    expect(log.at(-1)).toBe("onClose");
    expect(errors).toEqual([]);
  });

  it("rule 32: close() answers for a stuck handler, and names it in the log", async () => {
    const { app, log } = await makeApp({ grace: 0 });
    const arrived = deferred();
    app.get("/stuck", () => {
      arrived.resolve();
      return new Promise(() => undefined);
    });
    const connect = await listen(app);
    const client = connect().request({ path: "/stuck" });
    await arrived.promise;
    await app.close();
    const body = JSON.stringify({
      statusCode: 503,
      error: "Service Unavailable",
      message: "Service Unavailable",
    });
    expect(await client.answer).toMatchObject({ status: 503, body, complete: true });
    expect(log.find(({ msg }) => msg.includes("stuck"))).toMatchObject({
      stuck: [{ path: "server/GET /stuck" }],
    });
  });

  it("close() lets requests finish within the grace period, although Fastify limits its hooks to less", async () => {
    const app = Fastify({ pluginTimeout: 200 });
    await app.register(fastifyBough, { grace: 400 });
    const arrived = deferred();
    app.get("/slow", async ({ scope }) => {
      arrived.resolve();
      await new Promise<void>((resolve) => scope.onCancel(() => resolve()));
      return "last words";
    });
    const connect = await listen(app);
    const client = connect().request({ path: "/slow" });
    await arrived.promise;
    await app.close();
    expect(await client.answer).toMatchObject({ status: 200, body: "last words", complete: true });
    expect(app.scope.state).toBe("closed");
  });

  it("close() ends the requests of a server that other code has started, and does not close the server", async () => {
    const server = http.createServer();
    onTestFinished(() => void server.close());
    const app = Fastify({
      serverFactory: (handler) => server.on("request", handler),
    });
    await app.register(fastifyBough, { grace: 0 });
    const arrived = deferred();
    app.get("/", async (request) => {
      arrived.resolve();
      await sleep(request.scope, 60_000);
    });
    await app.ready();
    const client = await connectTo(server);
    const { answer } = client.request();
    await arrived.promise;
    await app.close();
    expect(await answer).toMatchObject({ status: 503, complete: true });
    expect(server.listening).toBe(true);
    expect(client.socket.destroyed).toBe(false);
  });

  it("close() keeps a replaced method of the server", async () => {
    const app = Fastify();
    await app.register(fastifyBough);
    await app.listen({ port: 0, host: "127.0.0.1" });
    let calls = 0;
    const replaced = (): void => void calls++;
    app.server.closeIdleConnections = replaced;
    await app.close();
    expect(Object.getOwnPropertyDescriptor(app.server, "closeIdleConnections")?.value).toBe(replaced);
    expect(calls).toBe(1); // by Fastify's own close(): our sweep comes to connections that are left
  });

  it("close() lets Fastify answer on kept-alive connections where forceCloseConnections is false", async () => {
    const app = Fastify({ forceCloseConnections: false });
    await app.register(fastifyBough);
    const arrived = deferred();
    const go = deferred();
    app.get("/", async () => {
      arrived.resolve();
      await go.promise;
      return "done";
    });
    const connect = await listen(app);
    const client = connect();
    const first = client.request();
    await arrived.promise;
    const closed = app.close();
    await flush();
    const second = client.request();
    go.resolve();
    expect(await first.answer).toMatchObject({ status: 200, body: "done" });
    expect(await second.answer).toMatchObject({ status: 503, complete: true });
    await closed;
  });

  it("close() waits for a request that came through another address of localhost", async () => {
    const { app } = await makeApp({ grace: 0 });
    const arrived = deferred();
    app.get("/", async () => {
      arrived.resolve();
      return new Promise(() => undefined);
    });
    await listen(app);
    // As Fastify does it, in the words of its API.
    const other = http.createServer((request, response) => app.routing(request, response));
    onTestFinished(() => void other.close());
    const client = await connectTo(other);
    const { answer } = client.request();
    await arrived.promise;
    await app.close();
    expect(await answer).toMatchObject({ status: 503, complete: true });
  });

  it("close() accepts the first request of an HTTP/2 session that is just being opened", async () => {
    const app = Fastify({ http2: true });
    await app.register(fastifyBough as never);
    app.get("/", async () => "never");
    await app.listen({ port: 0, host: "127.0.0.1" });
    const session = http2.connect(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}`);
    onTestFinished(() => session.destroy());
    await once(session, "connect");
    const stream = session.request({ ":path": "/" });
    const closed = app.close();
    const [headers] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
    expect(headers[":status"]).toBe(503); // Fastify's
    stream.resume();
    await closed;
  });

  it("close() refuses it where forceCloseConnections is true", async () => {
    const app = Fastify({ http2: true, forceCloseConnections: true });
    await app.register(fastifyBough as never);
    await app.listen({ port: 0, host: "127.0.0.1" });
    const session = http2.connect(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}`);
    onTestFinished(() => session.destroy());
    await once(session, "connect");
    const stream = session.request({ ":path": "/" });
    const closed = app.close();
    const [error] = (await once(stream, "error")) as [Error];
    expect(error.message).toContain("REFUSED_STREAM");
    await closed;
  });
});
