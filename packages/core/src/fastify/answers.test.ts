import { STATUS_CODES } from "node:http";
import type { FastifyInstance } from "fastify";
import { afterEach, describe, expect, it, vi } from "vitest";
import { deferred, flush } from "../../test/support/deferred.js";
import { INFO, listen, makeApp } from "../../test/support/fastify-app.js";
import { sleep, withScope, type Scope } from "../index.js";

const never = (): Promise<never> => new Promise(() => undefined);

/** Routes that end with 503, with 504, and one whose handler never notices. */
function addRoutes(app: FastifyInstance): { path: string; status: number }[] {
  app.get("/fails", (request) => sleep(request.scope, 60_000));
  app.get("/call", (request) => withScope(request.scope, { timeout: 5 }, (own) => sleep(own, 60_000)));
  app.get("/deaf", never);
  return [
    { path: "/fails", status: 503 },
    { path: "/call", status: 504 },
    { path: "/deaf", status: 503 },
  ];
}

describe("an answer that bough gives for a Fastify handler", () => {
  afterEach(() => void vi.useRealTimers());

  it("rule 30: runs the onSend hooks, which set the app's own headers", async () => {
    const { app, traces, complaints } = await makeApp({ timeout: 300 }, false);
    app.addHook("onSend", async (_request, reply, payload) => {
      await flush();
      void reply.header("access-control-allow-origin", "*").header("x-frame-options", "DENY");
      return payload;
    });
    app.addHook("onRequest", async (_request, reply) => void reply.type("text/csv").header("etag", "1"));
    for (const { path, status } of addRoutes(app)) {
      const answer = await app.inject(path);
      expect(answer).toMatchObject({
        statusCode: status,
        headers: { "access-control-allow-origin": "*", "x-frame-options": "DENY" },
      });
      expect(answer.headers["content-type"]).toBe("application/json; charset=utf-8");
      expect(answer.headers["etag"]).toBeUndefined();
      const text = STATUS_CODES[status];
      expect(answer.json()).toEqual({ statusCode: status, error: text, message: text });
    }
    expect(traces()).toHaveLength(3);
    expect(complaints()).toEqual([]);
  });

  it("rule 30: is sent after a second if an onSend hook never returns", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
    const { app } = await makeApp({ timeout: 20 }, false);
    app.addHook("onSend", never);
    app.get("/", never);
    const answer = app.inject("/");
    await vi.waitFor(async () => {
      vi.advanceTimersByTime(500);
      expect(await Promise.race([answer, flush()])).toMatchObject({ statusCode: 503 });
    });
  });

  it("rule 30: waits for the onSend hooks of an answer that respond() has sent without returning it", async () => {
    const { app } = await makeApp({
      timeout: 300,
      respond: ({ status }, _request, reply) => void reply.code(status).send({ of: "mine" }),
    });
    app.addHook("onSend", async (_request, _reply, payload) => {
      await flush();
      await new Promise(setImmediate);
      return payload;
    });
    for (const { path, status } of addRoutes(app)) {
      const answer = await app.inject(path);
      expect(answer.statusCode).toBe(status);
      expect(answer.json()).toEqual({ of: "mine" });
    }
  });

  it("rule 32: is sent at the end of a shutdown, however late its hooks are", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
    const { app } = await makeApp({ grace: 0 }, false);
    app.addHook("onSend", async (_request, reply) => {
      for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
      void reply.header("x-late", "yes");
    });
    const arrived = deferred();
    app.get("/", () => {
      arrived.resolve();
      return never();
    });
    const connect = await listen(app);
    const client = connect().request();
    await arrived.promise;
    const closed = app.close();
    const answer = await vi.waitFor(async () => {
      vi.advanceTimersByTime(100);
      const done = await Promise.race([client.answer, flush()]);
      expect(done).toBeDefined();
      return done;
    });
    expect(answer).toMatchObject({ status: 503, headers: { "x-late": "yes" }, complete: true });
    await closed;
  });
});

describe("an error handler of a Fastify app", () => {
  type Register = (app: FastifyInstance, handler: Parameters<FastifyInstance["setErrorHandler"]>[0]) => void;
  const where: Record<string, (app: FastifyInstance) => FastifyInstance | Promise<FastifyInstance>> = {
    "of the app": (app) => app,
    "of a plugin": (app) =>
      new Promise((resolve) => void app.register(async (inner) => resolve(inner)).after()),
  };

  it.each(Object.keys(where))("shapes 503 and 504, with their error: %s", async (place) => {
    const { app, log, complaints, traces } = await makeApp({ timeout: 20 }, false);
    const hook = vi.fn<(error: unknown) => void>();
    const context = (await where[place]?.(app)) as FastifyInstance;
    context.addHook("onError", async (_request, _reply, error) => hook(error));
    const seen: { error: unknown; scope: Scope }[] = [];
    context.setErrorHandler(
      async (error: Error & { statusCode?: number; scope?: string }, request, reply) => {
        seen.push({ error, scope: request.scope });
        await flush();
        reply.code(error.statusCode ?? 500);
        return { problem: error.message, at: error.scope };
      },
    );
    for (const { path, status } of addRoutes(context)) {
      const answer = await app.inject(path);
      expect(answer.statusCode).toBe(status);
      expect(answer.json()).toMatchObject({ at: expect.stringContaining(`server/GET ${path}`) as string });
    }
    expect(hook.mock.calls.map(([error]) => error)).toEqual(seen.map(({ error }) => error));
    expect(seen[0]?.error).toBe(seen[0]?.scope.reason);
    expect(seen).toHaveLength(3);
    expect(traces()).toHaveLength(3);
    expect(complaints()).toEqual([]);
    expect(log.filter(({ err }) => err !== undefined)).toHaveLength(3);
  });

  const handlers: Record<string, Parameters<Register>[1]> = {
    "answers 500 to what it does not know": (_error, _request, reply) => reply.code(500).send("mine"),
    "sets no status": (_error, _request, reply) => reply.send("mine"),
    "sets reply.statusCode": (_error, _request, reply) => {
      reply.statusCode = 500;
      void reply.send("mine");
    },
    "returns what is sent": () => "mine",
    "passes the error on": (error, _request, reply) => reply.send(error),
    "throws the error on": (error) => {
      throw error;
    },
    "rejects with the error": (error) => Promise.reject(error),
  };

  it.each(Object.keys(handlers))(
    "answers 503 and 504, and nothing else is logged, where it %s",
    async (way) => {
      const { app, complaints, traces } = await makeApp({ timeout: 20 }, false);
      app.setErrorHandler(handlers[way] as Parameters<Register>[1]);
      for (const { path, status } of addRoutes(app)) expect((await app.inject(path)).statusCode).toBe(status);
      expect(traces()).toHaveLength(3);
      expect(complaints()).toEqual([]);
    },
  );

  it("keeps its own status", async () => {
    const { app } = await makeApp({ timeout: 5 }, false);
    app.setErrorHandler((_error, _request, reply) => reply.code(429).send("mine"));
    app.get("/", never);
    expect(await app.inject("/")).toMatchObject({ statusCode: 429, body: "mine" });
  });

  it("is not called if respond() is given, or if the client has disconnected", async () => {
    const { app, errors, cancellations, log } = await makeApp({
      respond: ({ status }, _request, reply) => reply.code(status).send("respond"),
    });
    const seen = deferred<Scope>();
    app.get("/", (request) => {
      seen.resolve(request.scope);
      return sleep(request.scope, 60_000);
    });
    app.get("/slow", { config: { bough: { timeout: 5 } } }, never);
    expect(await app.inject("/slow")).toMatchObject({ statusCode: 503, body: "respond" });
    const connect = await listen(app);
    const client = connect().request();
    await seen.promise;
    client.abort();
    await expect
      .poll(() => log.filter(({ statusCode }) => statusCode === 499))
      .toMatchObject([{ level: INFO }]);
    await flush();
    expect(errors).toEqual([]);
    expect(cancellations).toEqual([]);
  });
});
