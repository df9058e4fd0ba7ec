import { EventEmitter, once } from "node:events";
import { Readable } from "node:stream";
import websocket from "@fastify/websocket";
import Fastify, { type FastifyInstance } from "fastify";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { WebSocket } from "ws";
import { deferred, flush } from "../../test/support/deferred.js";
import { INFO, listen, makeApp, WARN } from "../../test/support/fastify-app.js";
import { requestScope, type CancelledOutcome } from "../http/index.js";
import { sleep, spawn, withScope, type CancelledError, type Scope } from "../index.js";
import { fastifyBough } from "./index.js";

const boom = new Error("boom");

describe("a request of Fastify's that was cancelled", () => {
  it("rule 30: is logged once with the error that says why, and answered 504 or 503", async () => {
    const { app, traces, complaints } = await makeApp({ timeout: 500 });
    app.get("/stock", (request) =>
      withScope(request.scope, { name: "stock", timeout: 1 }, (own) => sleep(own, 60_000)),
    );
    app.get("/slow/:id", (request) => sleep(request.scope, 60_000));
    expect((await app.inject("/stock")).statusCode).toBe(504);
    expect((await app.inject("/slow/7")).statusCode).toBe(503);
    await flush();
    expect(traces()).toMatchObject([
      { level: WARN, statusCode: 504, err: { kind: "deadline", scope: "server/GET /stock/stock" } },
      { level: WARN, statusCode: 503, err: { kind: "deadline", scope: "server/GET /slow/:id" } },
    ]);
    expect(complaints()).toEqual([]);
  });

  it("rule 30: can be answered in the application's form, through its hooks onSend", async () => {
    const outcomes: CancelledOutcome[] = [];
    const onSend = vi.fn<() => void>();
    const { app, errors, complaints } = await makeApp({
      timeout: 20,
      onCancelled: (outcome) => void outcomes.push(outcome),
      respond: async ({ status, error }, request, reply) => {
        await flush();
        return reply
          .code(status)
          .header("x-why", (error as CancelledError).kind)
          .send({ of: request.url });
      },
    });
    app.addHook("onSend", async () => onSend());
    app.get("/fails", (request) => sleep(request.scope, 60_000));
    app.get("/deaf", () => new Promise(() => undefined));
    const late = deferred();
    app.get("/late", async () => {
      await late.promise;
      return "late";
    });
    app.get("/late-send", (_request, reply) => void late.promise.then(() => reply.send("late")));
    for (const path of ["/fails", "/deaf", "/late", "/late-send"]) {
      const answer = await app.inject(path);
      expect(answer).toMatchObject({ statusCode: 503, headers: { "x-why": "deadline" } });
      expect(answer.json()).toEqual({ of: path });
    }
    late.resolve();
    await flush();
    expect(onSend).toHaveBeenCalledTimes(4);
    expect(errors).toEqual([]);
    expect(complaints()).toEqual([]);
    expect(outcomes.map(({ status }) => status)).toEqual([503, 503, 503, 503]);
  });

  it("rule 30: is answered by bough when the application's answer fails, or gives none", async () => {
    const ways = [
      { respond: () => undefined, failures: 0 },
      { respond: () => Promise.reject(boom), failures: 1 },
      { respond: () => expect.fail("boom"), failures: 1 },
    ];
    for (const { respond, failures } of ways) {
      const { app, log } = await makeApp({ timeout: 10, respond });
      app.get("/", (request) => sleep(request.scope, 60_000));
      const answer = await app.inject("/");
      expect(answer.statusCode).toBe(503);
      expect(answer.json()).toMatchObject({ error: "Service Unavailable" });
      const failed = log.filter(({ msg }) => msg === "a hook for cancelled requests has failed");
      expect(failed).toHaveLength(failures);
    }
  });

  it("rule 30: is logged as 499 though its handler never failed, and though it never asked for its scope", async () => {
    const { app, log, complaints } = await makeApp();
    const arrived = deferred();
    app.get("/", async () => {
      arrived.resolve();
      await new Promise(() => undefined);
    });
    const connect = await listen(app);
    const client = connect().request();
    await arrived.promise;
    client.abort();
    await expect.poll(() => log.filter(({ statusCode }) => statusCode === 499)).toHaveLength(1);
    expect(complaints()).toEqual([]);
  });
});

describe("a hijacked reply", () => {
  it.each(["with its scope", "without"])(
    "rule 30: is logged as 499 when its client leaves: %s",
    async (way) => {
      const { app, log, complaints } = await makeApp();
      const failed = deferred();
      app.get("/", async (request, reply) => {
        reply.hijack();
        reply.raw.writeHead(200);
        reply.raw.write("part");
        try {
          if (way === "without") await once(request.raw, "aborted");
          else await sleep(request.scope, 60_000);
          throw Object.assign(new Error("write EPIPE"), { code: "EPIPE" });
        } finally {
          setImmediate(failed.resolve);
        }
      });
      const connect = await listen(app);
      const client = connect().request();
      await client.started;
      client.abort();
      await failed.promise;
      await expect
        .poll(() => log.filter(({ statusCode }) => statusCode === 499))
        .toMatchObject([{ level: INFO }]);
      expect(complaints()).toEqual([]);
    },
  );

  it.each([true, false])("rule 30: ends at its deadline; has begun: %s", async (hasBegun) => {
    const { app, traces, complaints } = await makeApp({ timeout: 30 });
    app.get("/", async (request, reply) => {
      reply.hijack();
      if (hasBegun) reply.raw.write("part");
      await sleep(request.scope, 60_000);
    });
    const connect = await listen(app);
    const answer = await connect().request().answer;
    expect(answer).toMatchObject(
      hasBegun ? { status: 200, body: "part", complete: false } : { status: 503, complete: true },
    );
    await expect.poll(traces).toMatchObject([{ statusCode: 503, err: { kind: "deadline" } }]);
    expect(complaints()).toEqual([]);
  });

  it("is logged as an error when it fails for another reason", async () => {
    const { app, complaints } = await makeApp();
    app.get("/", async (request, reply) => {
      reply.hijack();
      reply.raw.end("done");
      request.scope.throwIfCancelled();
      throw boom;
    });
    await app.inject("/");
    await expect.poll(complaints).toMatchObject([{ err: { message: "boom" } }]);
  });
});

describe("a stream that Fastify sends, and breaks off when its source fails of the cancellation,", () => {
  /** Sends a source that waits in the scope of the request. Returns what is logged of a client that got the beginning. */
  async function broken(
    interfere: (app: FastifyInstance, client: { abort(): void }) => void,
    timeout?: number,
  ): Promise<readonly CancelledOutcome[]> {
    const outcomes: CancelledOutcome[] = [];
    const { app } = await makeApp({ timeout, onCancelled: (outcome) => void outcomes.push(outcome) });
    app.get("/", (request, reply) =>
      reply.send(
        Readable.from(
          (async function* () {
            yield "part";
            await sleep(request.scope, 60_000);
          })(),
        ),
      ),
    );
    const connect = await listen(app);
    const client = connect().request();
    await client.started;
    interfere(app, client);
    expect(await client.answer).toMatchObject({ body: "part", complete: false });
    await expect.poll(() => outcomes).toHaveLength(1);
    return outcomes;
  }

  it("rule 30: is logged as 503 when its time was up", async () => {
    expect(await broken(() => undefined, 30)).toMatchObject([{ status: 503, error: { kind: "deadline" } }]);
  });

  it("rule 30: is logged as 503 when the server's scope was cancelled", async () => {
    const outcomes = await broken((app) => void app.scope.cancel("maintenance"));
    expect(outcomes).toMatchObject([{ status: 503, error: { kind: "explicit", cause: "maintenance" } }]);
  });

  it("rule 30: is logged as 499 when its client has left", async () => {
    const outcomes = await broken((_, client) => client.abort());
    expect(outcomes).toMatchObject([{ status: 499, error: { kind: "disconnected" } }]);
  });
});

describe("app.close()", () => {
  it.each(["after", "before", "in a context inside", "in the context of the plugin"])(
    "runs the app's own hooks preClose before it waits: added %s the plugin",
    async (where) => {
      const app = Fastify();
      const bus = new EventEmitter();
      const order: string[] = [];
      const hook = async (): Promise<void> => {
        await flush();
        order.push("preClose");
        bus.emit("bye");
      };
      if (where === "before") app.addHook("preClose", hook);
      const routes = (context: FastifyInstance): void => {
        context.get("/", async (request) => {
          spawn(request.scope, () => once(bus, "bye"));
          await once(bus, "bye");
          order.push("handler");
          return "bye";
        });
      };
      if (where === "in the context of the plugin") {
        await app.register(async (context) => {
          await context.register(fastifyBough, { grace: 60_000 });
          context.addHook("preClose", hook);
          routes(context);
        });
      } else {
        await app.register(fastifyBough, { grace: 60_000 });
        if (where === "after") app.addHook("preClose", hook);
        routes(app);
        if (where === "in a context inside")
          await app.register(async (context) => void context.addHook("preClose", hook));
      }
      app.addHook("onClose", async () => void order.push("onClose"));
      const connect = await listen(app);
      const client = connect().request();
      await expect.poll(() => bus.listenerCount("bye")).toBe(2);
      await app.close();
      expect(await client.answer).toMatchObject({ body: "bye", complete: true });
      expect(order).toEqual(["preClose", "handler", "onClose"]);
    },
  );

  it("lets requests finish that came by inject(), before it is ready, and more than once", async () => {
    const app = Fastify();
    void app.register(fastifyBough);
    const go = deferred();
    app.get("/", async (request) => {
      spawn(request.scope, () => go.promise);
      await go.promise;
      return "done";
    });
    const early = Fastify();
    void early.register(fastifyBough);
    await early.close();
    const answer = app.inject("/");
    await expect.poll(() => app.scope.state).toBe("open");
    await flush();
    const closed = [app.close(), app.close()];
    go.resolve();
    expect((await answer).body).toBe("done");
    await Promise.all(closed);
    expect(app.scope.state).toBe("closed");
    await app.close();
  });

  it("leaves the methods of the server as they were", async () => {
    const app = Fastify();
    await app.register(fastifyBough);
    await app.listen({ port: 0, host: "127.0.0.1" });
    const before = Object.getOwnPropertyNames(app.server);
    await app.close();
    expect(Object.getOwnPropertyNames(app.server)).toEqual(before);
  });
});

describe("a WebSocket of @fastify/websocket", () => {
  /** A client, and the scope of its request, asked for in its handler or in a hook before that. */
  async function open(
    inHook: boolean,
    timeout?: number,
  ): Promise<{ client: WebSocket; server: WebSocket; scope: Scope; kind: Promise<string> }> {
    const app = Fastify();
    onTestFinished(() => app.close());
    await app.register(websocket);
    await app.register(fastifyBough, { timeout });
    if (inHook) app.addHook("onRequest", async (request) => void request.scope.cancelled);
    const opened = deferred<{ scope: Scope; kind: Promise<string>; server: WebSocket }>();
    app.get("/ws", { websocket: true }, (server, request) => {
      const { scope } = request;
      const kind = deferred<string>();
      scope.onCancel((reason) => kind.resolve(reason.kind));
      spawn(scope, (task) => sleep(task, 60_000));
      opened.resolve({ scope, kind: kind.promise, server });
    });
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    const client = new WebSocket(`${url.replace("http", "ws")}/ws`);
    client.on("error", () => undefined);
    await once(client, "open");
    onTestFinished(() => client.terminate());
    return { client, ...(await opened.promise) };
  }

  it.each([
    { by: "client", inHook: false },
    { by: "client", inHook: true },
    { by: "server", inHook: false },
    { by: "server", inHook: true },
  ] as const)(
    "rule 29: is done when it is closed in good order: $by, scope in a hook: $inHook",
    async (row) => {
      const opened = await open(row.inHook);
      opened[row.by].close(1000);
      expect(await opened.kind).toBe("closed");
      await expect.poll(() => opened.scope.state).toBe("closed");
    },
  );

  it("rule 28: is disconnected when its client breaks off", async () => {
    const { client, kind } = await open(false);
    client.terminate();
    expect(await kind).toBe("disconnected");
  });

  it("rule 28: is cancelled at its deadline, and may say goodbye: no answer is written into it", async () => {
    const { client, server, scope, kind } = await open(true, 30);
    const message = once(client, "message");
    expect(await kind).toBe("deadline");
    await flush();
    await flush();
    server.send("goodbye");
    expect(String((await message)[0])).toBe("goodbye");
    server.close(1000);
    const [code] = (await once(client, "close")) as [number];
    expect(code).toBe(1000);
    await expect.poll(() => scope.state).toBe("closed");
  });
});

it("a request of Fastify has the name of its route, or of its method if no route matches", async () => {
  const { app } = await makeApp({ timeout: 60_000 });
  const names: string[] = [];
  app.setNotFoundHandler(async (request) => void names.push(request.scope.name));
  app.get("/orders/:id", async (request, reply) => {
    expect(requestScope(request.raw, reply.raw)).toBe(request.scope);
    names.push(request.scope.name);
    return "ok";
  });
  await app.register(
    async (context) => {
      context.post("/items/*", async (request) => void names.push(request.scope.name));
    },
    { prefix: "/shops/:shop" },
  );
  for (const id of [1, 2]) await app.inject(`/orders/${id}?token=secret`);
  await app.inject({ method: "POST", url: "/shops/7/items/a/b" });
  await app.inject("/nothing/8");
  expect(names).toEqual(["GET /orders/:id", "GET /orders/:id", "POST /shops/:shop/items/*", "GET"]);
});
