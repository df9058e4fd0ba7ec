import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { sleep, spawn, type Scope } from "../index.js";
import { requestScope } from "../http/index.js";
import { deferred, flush, rejection } from "../../test/support/deferred.js";
import { INFO, listen, makeApp, type TestApp } from "../../test/support/fastify-app.js";

const boom = new Error("boom");
const TIMEOUT = 1_000;

const hooks = [
  "onRequest",
  "preParsing",
  "preValidation",
  "preHandler",
  "preSerialization",
  "onSend",
] as const;

describe.each(hooks)("a hook %s that fails", (name) => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] }));
  afterEach(() => void vi.useRealTimers());

  /** An app whose hook does as it is told, once: `onSend` comes again for the answer to its own failure. */
  async function make(
    hook: (scope: Scope) => Promise<void>,
    options?: Parameters<typeof makeApp>[0],
  ): Promise<TestApp & { scope: Promise<Scope> }> {
    const test = await makeApp(options);
    const scope = deferred<Scope>();
    let calls = 0;
    const run = async (request: FastifyRequest, _reply: FastifyReply): Promise<void> => {
      scope.resolve(request.scope);
      if ((calls += 1) === 1) await hook(request.scope);
    };
    test.app.addHook(name as "onRequest", run);
    test.app.post("/", async () => ({ answer: "fine" }));
    return { ...test, scope: scope.promise };
  }
  const post = { method: "POST", path: "/", headers: { "content-type": "application/json" } } as const;

  const ways: Record<
    string,
    (app: FastifyInstance) => Promise<{ status: number; body: string } | undefined>
  > = {
    "inject()": async (app) => {
      const { statusCode, body } = await app.inject({ ...post, payload: "{}" });
      return { status: statusCode, body };
    },
    "a socket": async (app) => (await listen(app))().request({ ...post, body: "{}" }).answer,
  };

  /** Fails of the scope, or of something else at that moment. */
  const waiting =
    (error?: unknown) =>
    async (scope: Scope): Promise<void> => {
      await sleep(scope, 60_000).catch((reason: unknown) => {
        throw error ?? reason;
      });
    };

  it.each(Object.keys(ways))(
    "answers with the app's error, and its scope is not cancelled: %s",
    async (way) => {
      const { app, scope, errors } = await make(async (own) => {
        await spawn(own, async () => flush());
        throw boom;
      });
      expect(await ways[way]?.(app)).toMatchObject({ status: 500, body: "mine" });
      expect(errors).toHaveLength(1);
      expect(errors[0]).toBe(boom);
      await flush();
      expect(await scope).toMatchObject({ cancelled: false, state: "closed" });
    },
  );

  it("is not an error when its client has disconnected, and is logged as 499", async () => {
    const { app, scope, log, errors, complaints } = await make(waiting());
    const connect = await listen(app);
    const client = connect().request({ ...post, body: "{}" });
    const seen = await scope;
    client.abort();
    await rejection(sleep(seen, 60_000));
    await flush();
    expect(seen.reason?.kind).toBe("disconnected");
    expect(log.filter(({ statusCode }) => statusCode === 499)).toMatchObject([{ level: INFO }]);
    expect(errors).toEqual([]);
    expect(complaints()).toEqual([]);
  });

  it("reaches the app's error handlers when it fails for another reason after the disconnect", async () => {
    const { app, scope, errors } = await make(waiting(boom));
    const connect = await listen(app);
    const client = connect().request({ ...post, body: "{}" });
    await scope;
    client.abort();
    await expect.poll(() => errors).toHaveLength(1);
    expect(errors[0]).toBe(boom);
  });

  it.each(Object.keys(ways))("answers 503 when its time is up: %s", async (way) => {
    const { app, scope, errors, complaints } = await make(waiting(), { timeout: TIMEOUT });
    const answer = ways[way]?.(app);
    await scope;
    vi.advanceTimersByTime(TIMEOUT);
    expect(await answer).toMatchObject({ status: 503 });
    expect((await scope).reason?.kind).toBe("deadline");
    expect(errors).toEqual([]);
    expect(complaints()).toEqual([]);
  });

  it("answers with the app's error when it fails for another reason at its deadline", async () => {
    const { app, scope, errors } = await make(waiting(boom), { timeout: TIMEOUT });
    const response = app.inject({ ...post, payload: "{}" });
    await scope;
    vi.advanceTimersByTime(TIMEOUT);
    expect(await response).toMatchObject({ statusCode: 500, body: "mine" });
    expect(errors).toHaveLength(1);
    expect(errors[0]).toBe(boom);
  });

  it("answers 503 when it fails because the server shuts down", async () => {
    const { app, scope, errors, complaints } = await make(waiting(), { grace: 0 });
    const connect = await listen(app);
    const client = connect().request({ ...post, body: "{}" });
    await scope;
    const closed = app.close();
    while (!(await scope).cancelled) {
      await flush();
      vi.advanceTimersByTime(1);
    }
    expect(await client.answer).toMatchObject({ status: 503, complete: true });
    await closed;
    expect((await scope).reason?.kind).toBe("shutdown");
    expect(errors).toEqual([]);
    expect(complaints()).toEqual([]);
  });
});

describe("an error handler that fails", () => {
  async function make(
    handler: (request: FastifyRequest, reply: FastifyReply) => unknown,
    handlesErrors?: boolean,
  ): Promise<TestApp & { scope: Promise<Scope> }> {
    const test = await makeApp({}, handlesErrors);
    const scope = deferred<Scope>();
    test.app.get(
      "/",
      {
        errorHandler: (_error, request, reply) => {
          scope.resolve(request.scope);
          return handler(request, reply);
        },
      },
      async (request) => {
        request.scope.throwIfCancelled();
        throw boom;
      },
    );
    return { ...test, scope: scope.promise };
  }

  it("passes its failure to the app's error handler, as without the plugin", async () => {
    const worse = new Error("worse");
    for (const handler of [() => Promise.reject(worse), () => expect.fail("worse")]) {
      const { app, scope, errors } = await make(handler);
      expect(await app.inject("/")).toMatchObject({ statusCode: 500, body: "mine" });
      expect(errors).toHaveLength(1);
      await flush();
      expect(await scope).toMatchObject({ cancelled: false, state: "closed" });
    }
  });

  it("passes the timeout on to the app's error handler", async () => {
    const { app, scope, errors } = await make(async (request, reply) => {
      requestScope(request.raw, reply.raw, { timeout: 1 });
      await sleep(request.scope, 60_000);
    });
    expect(await app.inject("/")).toMatchObject({ statusCode: 500, body: "mine" });
    expect(errors).toHaveLength(1);
    expect(errors[0]).toBe((await scope).reason);
    expect((await scope).reason?.kind).toBe("deadline");
  });

  it("is not logged as an error when its client has disconnected since", async () => {
    const { app, scope, log, complaints } = await make(
      async (request) => sleep(request.scope, 60_000),
      false,
    );
    const connect = await listen(app);
    const client = connect().request();
    const seen = await scope;
    client.abort();
    await rejection(sleep(seen, 60_000));
    await flush();
    expect(log.filter(({ statusCode }) => statusCode === 499)).toMatchObject([{ level: INFO }]);
    expect(complaints()).toEqual([]);
  });
});
