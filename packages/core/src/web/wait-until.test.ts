import { Hono, type Context, type Next } from "hono";
import { describe, expect, it, vi } from "vitest";
import { sleep, spawn } from "../index.js";
import { flush, outcomeOf, rejection } from "../../test/support/deferred.js";
import { fetchBough } from "./index.js";

const get = (): Request => new Request("http://localhost/");

describe("rule 35: ctx.waitUntil", () => {
  const host = (): { ctx: { waitUntil: (promise: Promise<unknown>) => void }; kept: Promise<unknown>[] } => {
    const kept: Promise<unknown>[] = [];
    return {
      kept,
      ctx: {
        waitUntil(this: unknown, promise) {
          if (this === undefined) throw new TypeError("Illegal invocation");
          kept.push(promise);
        },
      },
    };
  };

  it("keeps a worker alive until the scope has ended", async () => {
    const { ctx, kept } = host();
    let finish: () => void = () => undefined;
    const handle = fetchBough((_request: Request, scope, _env: object, _ctx: typeof ctx) => {
      spawn(scope, () => new Promise<void>((resolve) => (finish = resolve)));
      return new Response("early");
    });
    await handle(get(), {}, ctx);
    expect(kept).toHaveLength(1);
    expect(await outcomeOf(kept[0] as Promise<unknown>)).toBe("pending");
    finish();
    await kept[0];
  });

  it("keeps it alive while the handler works, so that cleanups run when the client leaves", async () => {
    const { ctx, kept } = host();
    const leaving = new AbortController();
    const cleanups: string[] = [];
    const handle = fetchBough(async (_request: Request, scope, _ctx: typeof ctx) => {
      scope.defer(async () => {
        await flush();
        cleanups.push("ran");
      });
      await sleep(scope, 60_000);
      return new Response("never");
    });
    const response = handle(new Request("http://localhost/", { signal: leaving.signal }), ctx);
    expect(kept).toHaveLength(1);
    leaving.abort();
    await kept[0];
    expect(cleanups).toEqual(["ran"]);
    expect((await response).status).toBe(499);
  });

  it("is found in the execution context of Hono, by a handler that is a middleware", async () => {
    const { ctx, kept } = host();
    const app = new Hono();
    const handle = fetchBough((_request: Request, _scope, c: Context, next: Next) =>
      next().then(() => c.res),
    );
    app.use(async (c, next) => void (await handle(c.req.raw, c, next)));
    app.get("/", async (c) => {
      await flush();
      return c.text("x");
    });
    await app.fetch(get(), {}, { ...ctx, passThroughOnException: () => undefined, props: {} });
    await kept[0];
    expect(kept).toHaveLength(1);
  });

  /** A context of Hono without an execution context; `read` is called when code asks for it. */
  const contextWithout = (read: () => void, env: object): object =>
    Object.defineProperty({ env }, "executionCtx", {
      get: () => {
        read();
        throw new Error("This context has no ExecutionContext");
      },
    });

  it.each([
    { server: "node-server", env: { incoming: {}, outgoing: {} } },
    { server: "Bun", env: { requestIP: () => null } },
    { server: "Deno", env: { remoteAddr: {} } },
  ])(
    "is looked for once in Hono on $server, which has no execution context, as its getter throws",
    async ({ env }) => {
      const read = vi.fn<() => void>();
      const handle = fetchBough((_request: Request, _scope, _c: object) =>
        flush().then(() => new Response("x")),
      );
      for (let request = 0; request < 3; request++)
        expect((await handle(get(), contextWithout(read, env))).status).toBe(200);
      expect(read).toHaveBeenCalledOnce();
    },
  );

  it.each([
    { without: "a context whose env is the worker's, as in a scheduled event", env: { DB: {} } },
    { without: "a context without env, as in app.request()", env: {} },
    { without: "a context of node-server", env: { incoming: {}, outgoing: {} } },
  ])("is found in a later request of Hono that has one, after $without", async ({ env }) => {
    const { ctx, kept } = host();
    const handle = fetchBough((_request: Request, _scope, _c: object) =>
      flush().then(() => new Response("x")),
    );
    await handle(
      get(),
      contextWithout(() => undefined, env),
    );
    expect(kept).toEqual([]);
    await handle(get(), { env: { DB: {} }, executionCtx: ctx });
    await kept[0];
    expect(kept).toHaveLength(1);
  });

  it("is not prevented by a context of Hono that has none, while no stack traces are captured", async () => {
    const limit = Error.stackTraceLimit;
    let during = limit;
    const handle = fetchBough((_request: Request, _scope, _c: object) =>
      flush().then(() => new Response("x")),
    );
    await handle(
      get(),
      contextWithout(() => (during = Error.stackTraceLimit), {}),
    );
    expect([during, Error.stackTraceLimit]).toEqual([0, limit]);
  });

  it("may be a method of the request, as in srvx", async () => {
    const { ctx, kept } = host();
    const handle = fetchBough(async (_request: Request) => {
      await flush();
      return new Response("x");
    });
    await handle(Object.assign(get(), ctx));
    await kept[0];
    expect(kept).toHaveLength(1);
  });

  it("is not called for a request that has ended", async () => {
    const { ctx, kept } = host();
    const handle = fetchBough((_request: Request, _scope, _ctx: typeof ctx) => new Response("x"));
    await handle(get(), ctx);
    expect(kept).toEqual([]);
  });

  it("resolves when the scope has failed, too", async () => {
    const { ctx, kept } = host();
    const handle = fetchBough(async (_request: Request, scope, _ctx: typeof ctx) => {
      await spawn(scope, async () => {
        await flush();
        throw new Error("planted");
      });
      return new Response("never");
    });
    await rejection(handle(get(), ctx));
    await kept[0];
  });
});
