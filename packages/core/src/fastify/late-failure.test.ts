import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type RouteHandlerMethod,
} from "fastify";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { sleep, type CancelledError, type Scope } from "../index.js";
import { deferred, flush } from "../../test/support/deferred.js";
import { listen, makeApp } from "../../test/support/fastify-app.js";
import { fastifyBough } from "./index.js";

const boom = new Error("boom");
const TIMEOUT = 1_000;

describe("a handler whose request bough has answered", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] }));
  afterEach(() => void vi.useRealTimers());

  it("is answered in the form of Fastify's errors, with the headers of hooks, when the deadline came by header", async () => {
    const { app } = await makeApp({ deadlineHeader: true });
    const arrived = deferred();
    app.addHook("onRequest", async (_request, reply) => void reply.header("vary", "origin"));
    app.get("/", () => {
      arrived.resolve();
      return new Promise(() => undefined);
    });
    const connect = await listen(app);
    const client = connect().request({ headers: { "x-request-timeout-ms": `${TIMEOUT}` } });
    await arrived.promise;
    vi.advanceTimersByTime(TIMEOUT);
    const answer = await client.answer;
    expect(answer).toMatchObject({ status: 504, complete: true, headers: { vary: "origin" } });
    expect(JSON.parse(answer?.body ?? "")).toMatchObject({ statusCode: 504, error: "Gateway Timeout" });
  });

  it("is answered without a header that can't be sent", async () => {
    const { app } = await makeApp({ timeout: TIMEOUT });
    const arrived = deferred();
    app.get("/", (_request, reply) => {
      void reply.header("x-bad", "a\nb").header("x-good", "c");
      arrived.resolve();
      return new Promise(() => undefined);
    });
    const response = app.inject("/");
    await arrived.promise;
    vi.advanceTimersByTime(TIMEOUT);
    expect(await response).toMatchObject({ statusCode: 503, headers: { "x-good": "c" } });
    expect((await response).headers["x-bad"]).toBeUndefined();
  });

  it("is answered, too, when a hook before the plugin has read the scope", async () => {
    const app = Fastify();
    onTestFinished(() => app.close());
    app.addHook("onRequest", async (request, reply) => {
      request.scope.throwIfCancelled();
      reply.header("vary", "origin");
    });
    await app.register(fastifyBough, { timeout: TIMEOUT });
    const arrived = deferred();
    app.get("/", () => {
      arrived.resolve();
      return new Promise(() => undefined);
    });
    const connect = await listen(app);
    const client = connect().request();
    await arrived.promise;
    vi.advanceTimersByTime(TIMEOUT);
    const answer = await client.answer;
    expect(answer).toMatchObject({ status: 503, headers: { vary: "origin" } });
    expect(JSON.parse(answer?.body ?? "")).toMatchObject({ error: "Service Unavailable" });
  });

  /** Where the handler is that fails late. */
  const places: Record<string, (app: FastifyInstance, handler: RouteHandlerMethod) => unknown> = {
    "a route's": (app, handler) => app.get("/", handler),
    "that of what is not found": (app, handler) => app.setNotFoundHandler(handler),
    "one of errors": (app, handler) => {
      app.get("/", { errorHandler: (_error, ...rest) => Reflect.apply(handler, app, rest) }, () => {
        throw boom;
      });
    },
  };

  it.each(Object.keys(places))(
    "may fail because of its deadline after its cleanup, and nothing is logged: %s",
    async (place) => {
      const { app, errors, complaints } = await makeApp({ timeout: TIMEOUT });
      const arrived = deferred<FastifyRequest>();
      const cleaned = deferred();
      const failed = deferred<unknown>();
      places[place]?.(app, async (request) => {
        arrived.resolve(request);
        await waitAndCleanUp(request.scope, cleaned.promise).finally(() => setImmediate(failed.resolve));
      });
      const connect = await listen(app);
      const client = connect().request();
      const { scope } = await arrived.promise;
      vi.advanceTimersByTime(TIMEOUT);
      expect(await client.answer).toMatchObject({ status: 503, complete: true });
      cleaned.resolve();
      await failed.promise;
      expect(errors).toEqual([]);
      expect(complaints()).toEqual([]);
      expect(scope.state).toBe("closed");
    },
  );

  it("may fail late if its route was added before the plugin, with any logger", async () => {
    class Lines {
      readonly #lines: string[] = [];
      readonly level = "info";
      error(line: unknown): void {
        this.#lines.push(`error: ${String((line as { err?: unknown }).err)}`);
      }
      info(): void {
        this.#lines.push("info");
      }
      child(): this {
        return this;
      }
      get lines(): readonly string[] {
        return this.#lines;
      }
    }
    const methods = ["fatal", "warn", "debug", "trace", "silent"];
    for (const method of methods)
      Object.defineProperty(Lines.prototype, method, { value: () => undefined, configurable: true });
    const logger = Object.freeze(new Lines());
    const app = Fastify({ loggerInstance: logger as unknown as FastifyBaseLogger });
    onTestFinished(() => app.close());
    void app.register(fastifyBough, { timeout: TIMEOUT });
    const arrived = deferred();
    const cleaned = deferred();
    app.get("/", async (request) => {
      arrived.resolve();
      await waitAndCleanUp(request.scope, cleaned.promise);
    });
    const response = app.inject("/");
    await arrived.promise;
    vi.advanceTimersByTime(TIMEOUT);
    expect((await response).statusCode).toBe(503);
    cleaned.resolve();
    await flush();
    expect(logger.lines).toEqual(["info", "info"]); // request and response
  });

  it("may fail because of the shutdown after its cleanup, and nothing is logged", async () => {
    const { app, errors, complaints } = await makeApp({ grace: 0 });
    const arrived = deferred<FastifyRequest>();
    const cancelled = deferred<CancelledError>();
    const cleaned = deferred();
    app.get("/", async (request) => {
      arrived.resolve(request);
      request.scope.onCancel(cancelled.resolve);
      await waitAndCleanUp(request.scope, cleaned.promise);
    });
    const connect = await listen(app);
    const client = connect().request();
    await arrived.promise;
    const closed = app.close();
    expect(await whileTimePasses(client.answer)).toMatchObject({ status: 503, complete: true });
    expect((await cancelled.promise).kind).toBe("shutdown");
    await whileTimePasses(closed);
    cleaned.resolve();
    await flush();
    expect(errors).toEqual([]);
    expect(complaints()).toMatchObject([{ msg: "requests or tasks are stuck" }]);
  });

  it("may have late hooks, too", async () => {
    const { app, errors, complaints } = await makeApp({ timeout: TIMEOUT }, false);
    const arrived = deferred();
    const late = deferred();
    const hooks = vi.fn<() => void>(); // those of the answer in its place as well
    app.addHook("preSerialization", async () => {
      arrived.resolve();
      await late.promise;
      hooks();
    });
    app.addHook("onSend", (_request, _reply, _payload, done) => {
      setImmediate(() => {
        done();
        hooks();
      });
    });
    app.get("/", async () => ({ late: true }));
    const connect = await listen(app);
    const connection = connect();
    const client = connection.request();
    await arrived.promise;
    vi.advanceTimersByTime(TIMEOUT);
    expect(await client.answer).toMatchObject({ status: 503 });
    late.resolve();
    await vi.waitFor(() => expect(hooks).toHaveBeenCalledTimes(3), 10_000);
    expect(errors).toEqual([]);
    expect(complaints()).toEqual([]);
  });

  it.each([
    { sends: "with reply.send", handler: (reply: FastifyReply) => reply.send("late") },
    { sends: "as a status", handler: (reply: FastifyReply) => reply.code(404).send() },
    { sends: "as a redirect", handler: (reply: FastifyReply) => reply.redirect("/late") },
  ])("may answer late $sends, and nothing is logged", async ({ handler }) => {
    const { app, complaints } = await makeApp({ timeout: TIMEOUT });
    const arrived = deferred();
    const go = deferred();
    const sent = deferred();
    app.get("/", async (_request, reply) => {
      arrived.resolve();
      await go.promise;
      void handler(reply);
      sent.resolve();
    });
    const connect = await listen(app);
    const client = connect().request();
    await arrived.promise;
    vi.advanceTimersByTime(TIMEOUT);
    expect(await client.answer).toMatchObject({ status: 503, complete: true });
    go.resolve();
    await sent.promise;
    await flush();
    expect(complaints()).toEqual([]);
  });

  it("is told by Fastify of a second answer of its own", async () => {
    const { app, complaints } = await makeApp({ timeout: TIMEOUT });
    app.get("/", async (request, reply) => {
      void request.scope.signal;
      await reply.send("one");
      void reply.send("two");
    });
    expect((await app.inject("/")).body).toBe("one");
    await vi.waitFor(() =>
      expect(complaints()).toMatchObject([{ err: { code: "FST_ERR_REP_ALREADY_SENT" } }]),
    );
  });

  it("is logged when it fails for another reason", async () => {
    const { app, complaints } = await makeApp({ timeout: TIMEOUT });
    const arrived = deferred();
    const go = deferred();
    app.get("/", async (request) => {
      request.scope.throwIfCancelled();
      arrived.resolve();
      await go.promise;
      throw boom;
    });
    const connect = await listen(app);
    const client = connect().request();
    await arrived.promise;
    vi.advanceTimersByTime(TIMEOUT);
    expect(await client.answer).toMatchObject({ status: 503 });
    go.resolve();
    await flush();
    expect(complaints()).toMatchObject([{ err: { message: "boom" } }]);
  });

  it("is not an error after a disconnect, however late it fails", async () => {
    const { app, log, errors, complaints } = await makeApp();
    const arrived = deferred<FastifyRequest>();
    const cleaned = deferred();
    app.get("/", async (request) => {
      arrived.resolve(request);
      await waitAndCleanUp(request.scope, cleaned.promise);
    });
    const connect = await listen(app);
    const client = connect().request();
    const { scope } = await arrived.promise;
    const cancelled = new Promise((resolve) => scope.onCancel(resolve));
    client.abort();
    await cancelled;
    await flush();
    cleaned.resolve();
    await flush();
    expect(log.filter(({ statusCode }) => statusCode === 499)).toHaveLength(1);
    expect(errors).toEqual([]);
    expect(complaints()).toEqual([]);
  });
});

async function waitAndCleanUp(scope: Scope, cleaned: Promise<void>): Promise<void> {
  try {
    await sleep(scope, 60_000);
  } finally {
    await cleaned;
  }
}

/** Lets timers fire, of which one leads to the next, until `promise` has settled. */
async function whileTimePasses<T>(promise: PromiseLike<T>): Promise<T> {
  let settled = false;
  const note = (): void => void (settled = true);
  promise.then(note, note);
  while (!settled) {
    vi.advanceTimersByTime(TIMEOUT);
    await flush();
  }
  return promise;
}
