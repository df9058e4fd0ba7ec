import { Hono, type Context, type Next } from "hono";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { sleep, type Scope } from "../index.js";
import { flush, rejection } from "../../test/support/deferred.js";
import { soon, turnUntil } from "../../test/support/turns.js";
import { ManualBody, nextPart, readerOf } from "../../test/support/web-requests.js";
import { nodeOf } from "../task/node-of.js";
import {
  fetchBough,
  requestOutcome,
  requestScope,
  type CancelledOutcome,
  type FetchBoughOptions,
} from "./index.js";

// A request that goes through one `fetchBough` inside another.

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterEach(() => void vi.useRealTimers());

type Options = FetchBoughOptions<Request, unknown[]>;
type Handle = (request: Request) => Response | Promise<Response>;
const forms = ["handler", "application"] as const;

interface Nested {
  readonly outer: ReturnType<typeof fetchBough<Request, [], Response>>;
  readonly inner: ReturnType<typeof fetchBough<Request, [], Response>>;
  readonly scopes: { outer?: Scope; inner?: Scope };
  /** What `onCancelled` of the inner one was told. */
  readonly outcomes: CancelledOutcome[];
}

function make(form: (typeof forms)[number], handler: Handle, options: Options = {}, around?: Around): Nested {
  const scopes: Nested["scopes"] = {};
  const outcomes: CancelledOutcome[] = [];
  const within = (work: Handle, key: "inner" | "outer"): Handle | { fetch: Handle } => {
    const run: Handle = (request) => {
      scopes[key] = requestScope(request);
      return work(request);
    };
    return form === "handler" ? run : { fetch: run };
  };
  const inner = fetchBough<Request, [], Response>(within(handler, "inner"), {
    grace: 5,
    onCancelled: (outcome) => void outcomes.push(outcome),
  });
  const call: Handle =
    around === undefined ? (request) => inner(request) : (request) => around(request, inner);
  const outer = fetchBough<Request, [], Response>(within(call, "outer"), {
    grace: 5,
    ...(options as object),
  });
  return { outer, inner, scopes, outcomes };
}

function listenersOf(scope: Scope): number {
  let count = 0;
  for (let { hooks } = nodeOf("test", "scope", scope); hooks !== undefined; hooks = hooks.next) count += 1;
  return count;
}

type Around = (request: Request, inner: Handle) => Promise<Response>;

const get = (init?: RequestInit): Request => new Request("http://localhost/", init);

const waits: Handle = async (request) => {
  await sleep(requestScope(request), 60_000);
  return new Response("never");
};

const forever: Handle = () => new Promise(() => undefined);

describe.each(forms)("rule 35: a request of a fetchBough in another one, as %s", (form) => {
  it("is cancelled when the time of the outer request is up", async () => {
    const { outer, scopes, outcomes } = make(form, waits, { timeout: 50 });
    const response = outer(get());
    await vi.advanceTimersByTimeAsync(50);
    expect((await soon(response)).status).toBe(503);
    await turnUntil(() => scopes.inner?.state === "closed");
    expect(scopes.inner?.state).toBe("closed");
    expect(scopes.inner?.reason).toBe(scopes.outer?.reason);
    expect(scopes.outer?.reason?.kind).toBe("deadline");
    expect(outcomes).toEqual([{ status: 503, error: scopes.outer?.reason }]);
  });

  it("ends also if its handler ignores that", async () => {
    const { outer, scopes } = make(form, forever, { timeout: 50 });
    const response = outer(get());
    await vi.advanceTimersByTimeAsync(50);
    expect((await soon(response)).status).toBe(503);
    await vi.advanceTimersByTimeAsync(1_200);
    expect([scopes.outer?.state, scopes.inner?.state]).toEqual(["closed", "closed"]);
  });

  it("is answered with 504 if the caller had sent the deadline to the outer one", async () => {
    const { outer } = make(form, waits, { deadlineHeader: true });
    const response = outer(get({ headers: { "x-request-timeout-ms": "50" } }));
    await vi.advanceTimersByTimeAsync(50);
    expect((await soon(response)).status).toBe(504);
  });

  it("is cancelled by a shutdown of the outer one, and answered with 503", async () => {
    const { outer, scopes } = make(form, waits);
    const response = outer(get());
    const report = outer.shutdown();
    await vi.advanceTimersByTimeAsync(5);
    expect((await soon(response)).status).toBe(503);
    expect((await soon(report)).stuck).toEqual([]);
    expect(scopes.inner?.reason?.kind).toBe("shutdown");
  });

  it("does not cancel the outer one by its own shutdown", async () => {
    const { outer, inner, scopes } = make(form, waits);
    const response = outer(get());
    const report = inner.shutdown();
    await vi.advanceTimersByTimeAsync(5);
    expect((await soon(response)).status).toBe(503);
    await soon(report);
    expect(scopes.inner?.reason?.kind).toBe("shutdown");
    expect(scopes.outer?.reason).toBe(undefined);
  });

  it("is cancelled as disconnected, like the outer one", async () => {
    const client = new AbortController();
    const { outer, scopes, outcomes } = make(form, waits);
    const response = outer(get({ signal: client.signal }));
    await vi.advanceTimersByTimeAsync(30);
    await new Promise((resolve) => setImmediate(resolve)); // by then, the clients are watched
    client.abort();
    expect((await soon(response)).status).toBe(499);
    expect([scopes.outer?.reason?.kind, scopes.inner?.reason?.kind]).toEqual([
      "disconnected",
      "disconnected",
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual([499]);
  });

  it("starts cancelled if the outer one is cancelled already, and leaves nothing behind", async () => {
    const { outer, inner, scopes } = make(form, waits, { timeout: 50 }, async (request, next) => {
      await sleep(requestScope(request), 60_000).catch(() => undefined);
      return next(request);
    });
    const response = outer(get());
    await vi.advanceTimersByTimeAsync(50);
    expect((await soon(response)).status).toBe(503);
    expect(scopes.inner?.reason).toBe(scopes.outer?.reason);
    await turnUntil(() => scopes.inner?.state === "closed");
    expect(scopes.inner?.state).toBe("closed");
    expect(await inner.shutdown()).toMatchObject({ running: 0, cancelled: 0 });
  });

  it("has its scope until it has ended, and then the outer one's", async () => {
    const seen: Scope[] = [];
    const { outer, scopes } = make(
      form,
      () => new Response("hello"),
      {},
      async (request, inner) => {
        const response = await inner(request);
        seen.push(requestScope(request));
        return response;
      },
    );
    expect(await (await outer(get())).text()).toBe("hello");
    expect(scopes.inner).not.toBe(scopes.outer);
    expect(seen).toEqual([scopes.outer]);
    expect(scopes.outer).toMatchObject({ state: "closed", cancelled: false });
  });

  it("has its body broken off when the time of the outer one is up", async () => {
    const { outer, scopes } = make(
      form,
      (request) => {
        const body = new ManualBody();
        body.send("a");
        requestScope(request).onCancel((reason) => body.fail(reason));
        return new Response(body.stream);
      },
      { timeout: 50 },
    );
    const reader = readerOf(await outer(get()));
    expect(await nextPart(reader)).toBe("a");
    const next = rejection(reader.read());
    await vi.advanceTimersByTimeAsync(50);
    expect(await soon(next)).toBe(scopes.outer?.reason);
    await flush();
    expect([scopes.outer?.state, scopes.inner?.state]).toEqual(["closed", "closed"]);
  });

  it.each([
    ["a proxy of it", (request: Request) => new Proxy(request, {})],
    ["an object that inherits from it", (request: Request) => Object.create(request) as Request],
  ])("is cancelled with the outer one also if it is %s", async (_, derive) => {
    const { outer, scopes } = make(form, waits, { timeout: 50 }, async (request, next) =>
      next(derive(request)),
    );
    const response = outer(get());
    await vi.advanceTimersByTimeAsync(50);
    expect((await soon(response)).status).toBe(503);
    expect(scopes.inner?.reason?.kind).toBe("deadline");
    expect(scopes.inner?.reason).toBe(scopes.outer?.reason);
  });

  it("is cancelled with the outer one also if it is the second one", async () => {
    let calls = 0;
    const seen: unknown[] = [];
    const { outer, scopes } = make(
      form,
      (request) => (calls++ === 0 ? new Response("try again") : waits(request)),
      { timeout: 50 },
      async (request, inner) => {
        await inner(request);
        seen.push(requestScope(request) === scopes.outer);
        const response = await inner(request);
        seen.push(requestScope(request) === scopes.outer);
        return response;
      },
    );
    const response = outer(get());
    await vi.advanceTimersByTimeAsync(50);
    expect((await soon(response)).status).toBe(503);
    expect(scopes.inner?.reason?.kind).toBe("deadline");
    expect(scopes.inner?.reason).toBe(scopes.outer?.reason);
    await turnUntil(() => seen.length === 2);
    expect(seen).toEqual([true, true]);
  });

  it("is cancelled with the outer one, and answered with its status, also if another one at the same time has ended", async () => {
    let calls = 0;
    const { outer, scopes, outcomes } = make(
      form,
      async (request) => {
        if (calls++ > 0) return waits(request);
        await sleep(requestScope(request), 1);
        return new Response("quick");
      },
      { deadlineHeader: true },
      async (request, inner) => (await Promise.all([inner(request), inner(request)]))[1],
    );
    const response = outer(get({ headers: { "x-request-timeout-ms": "50" } }));
    await vi.advanceTimersByTimeAsync(50);
    expect((await soon(response)).status).toBe(504);
    expect(scopes.inner?.reason?.kind).toBe("deadline");
    expect(scopes.inner?.reason).toBe(scopes.outer?.reason);
    expect(outcomes).toEqual([{ status: 504, error: scopes.outer?.reason }]);
  });

  it("leaves no listener in the scope of the outer one", async () => {
    const counts: number[] = [];
    const { outer, scopes } = make(
      form,
      () => {
        counts.push(listenersOf(scopes.outer as Scope));
        return new Response("hello");
      },
      {},
      async (request, inner) => {
        await inner(request);
        await inner(request);
        counts.push(listenersOf(scopes.outer as Scope));
        return new Response("done");
      },
    );
    expect(await (await outer(get())).text()).toBe("done");
    expect(counts).toEqual([1, 1, 0]);
  });

  it("does not depend on an earlier request that has used the same object", async () => {
    const { inner, scopes } = make(form, () => new Response("hello"));
    const request = get();
    await (await inner(request)).text();
    const first = scopes.inner;
    await (await inner(request)).text();
    expect(scopes.inner).not.toBe(first);
  });
});

it("requestOutcome() says of a request that was cancelled with the outer one what it says of that one", async () => {
  const app = new Hono();
  const failures: unknown[] = [];
  const inner = fetchBough((_: Request, _scope, c: Context, next: Next) => next().then(() => c.res));
  app.use(async (c, next) => {
    c.res = await inner(c.req.raw, c, next);
  });
  app.get("/", async (c) => {
    await sleep(requestScope(c.req.raw), 60_000);
    return c.text("never");
  });
  app.onError((failure, c) => {
    const { status, error } = requestOutcome(c.req.raw, failure);
    if (status !== undefined) return c.body(null, status as 503);
    failures.push(error);
    return c.text("failed", 500);
  });
  const outer = fetchBough(app, { grace: 5 });
  const response = outer(get());
  const report = outer.shutdown();
  await vi.advanceTimersByTimeAsync(5);
  expect((await soon(response)).status).toBe(503);
  await soon(report);
  expect(failures).toEqual([]);
});
