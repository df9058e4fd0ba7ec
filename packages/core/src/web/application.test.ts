import { channel } from "node:diagnostics_channel";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createScope, sleep, spawn, type Scope } from "../index.js";
import { snapshot } from "../inspect/index.js";
import type { ScopeNode } from "../kernel/node.js";
import { deferred, flush, outcomeOf, rejection, thrown } from "../../test/support/deferred.js";
import { fetchBough, requestOutcome, requestScope, type FetchBoughOptions } from "./index.js";

const get = (init?: RequestInit): Request => new Request("http://localhost/a?b=c", init);
const forever = () => new Promise<never>(() => undefined);

type Handler = (request: Request, ...rest: unknown[]) => unknown;

/** An application by that handler, in a `fetchBough`. */
function application(fetch: Handler, options: FetchBoughOptions<Request, unknown[]> = {}) {
  return fetchBough(
    { fetch } as { fetch: (request: Request, ...rest: unknown[]) => Promise<Response> },
    options,
  );
}

/** The scopes of requests. */
function requests(handle: { readonly scope: Scope }): readonly string[] {
  return snapshot(handle.scope).children.map(({ name }) => name);
}

describe("rule 35: an application in fetchBough", () => {
  it("is called as its own method, with the request and what the host passes, and without the scope", async () => {
    class App {
      readonly greeting = "hello";
      async fetch(request: Request, env: { readonly a: number }, ...more: unknown[]): Promise<Response> {
        return Response.json([this.greeting, request.method, env.a, more.length]);
      }
    }
    const handle = fetchBough(new App());
    expect(await (await handle(get(), { a: 1 })).json()).toEqual(["hello", "GET", 1, 0]);
  });

  it("begins the tasks that it starts before its first await with the request, and later ones when they are started", async () => {
    const starts: number[] = [];
    const note = (scope: Scope): void => void starts.push((scope as ScopeNode).startedAt);
    const handle = application(async (request) => {
      const scope = requestScope(request);
      note(scope);
      const end = performance.now() + 20;
      while (performance.now() < end); // holds the event loop up
      spawn(scope, note);
      await Promise.resolve();
      spawn(scope, note);
      return new Response("done");
    });
    await handle(get());
    await handle(get());
    const [begin, early, late, second] = starts as [number, number, number, number];
    expect(early).toBe(begin);
    expect(late - begin).toBeGreaterThan(10);
    expect(second - begin).toBeGreaterThan(10); // the next request reads the clock
  });

  it("may get another `fetch` later, as tools do that watch it", async () => {
    const app = { fetch: (_request: Request) => new Response("old") };
    const handle = fetchBough(app);
    app.fetch = () => new Response("new");
    expect(await (await handle(get())).text()).toBe("new");
  });

  it.each([
    ["a number", 1],
    ["an object without fetch", {}],
    ["an object whose fetch is no function", { fetch: "x" }],
    ["nothing", undefined],
  ])("is refused if it is %s", (_, value) => {
    expect(thrown(() => fetchBough(value as never))).toMatchObject({
      name: "TypeError",
      message: expect.stringContaining(
        "handler must be a function, or an application with a function fetch",
      ) as string,
    });
  });

  it("creates no scope for a request before code reads it", async () => {
    const isAsked = deferred();
    const work = deferred<Response>();
    const handle = application(async (request) => {
      await isAsked.promise;
      requestScope(request);
      return work.promise;
    });
    const response = handle(get());
    await flush();
    expect(requests(handle)).toEqual([]);
    isAsked.resolve();
    await flush();
    expect(requests(handle)).toEqual(["GET /a"]);
    work.resolve(new Response("x"));
    expect(await (await response).text()).toBe("x");
    expect(requests(handle)).toEqual([]);
  });

  it("that answers at once gives the host a promise of that very response, and no scope is created", async () => {
    const response = new Response("x");
    const handle = application(() => response);
    const answer = handle(get());
    expect(answer).toBeInstanceOf(Promise);
    expect(await answer).toBe(response);
    expect(await handle.shutdown()).toMatchObject({ running: 0 });
  });

  it("that answers at once, after it has started a task, is answered when it returns, and the task ends", async () => {
    const scopes: Scope[] = [];
    const handle = application((request) => {
      scopes.push(requestScope(request));
      spawn(requestScope(request), (task) => sleep(task, 100_000));
      return new Response("x");
    });
    expect(await (await handle(get())).text()).toBe("x");
    await flush();
    expect(scopes[0]).toMatchObject({ state: "closed", reason: { kind: "closed" } });
  });

  it("gets the same scope at once, later, and in its middleware, and tasks in it end with the response", async () => {
    const scopes: Scope[] = [];
    const handle = application(async (request) => {
      scopes.push(requestScope(request));
      await flush();
      scopes.push(requestScope(request, { name: "GET /:id" }));
      spawn(requestScope(request), (task) => sleep(task, 100_000));
      return new Response("x");
    });
    await (await handle(get())).text();
    await flush();
    const [first] = scopes;
    expect(new Set(scopes).size).toBe(1);
    expect(first).toMatchObject({ path: "server/GET /:id", state: "closed", reason: { kind: "closed" } });
  });

  it.each([
    ["succeeded", () => new Response("x")],
    ["succeeded, later", async () => new Response("x")],
    ["failed", () => Promise.reject(new Error("planted"))],
  ])("that has %s has a closed scope if code reads it after that", async (_, fetch) => {
    const request = get();
    const handle = application(fetch);
    await outcomeOf(handle(request));
    const scope = requestScope(request);
    expect(scope).toMatchObject({ name: "GET /a", state: "closed", cancelled: false });
    expect(requestScope(request)).toBe(scope);
    expect(thrown(() => spawn(scope, async () => 1))).toMatchObject({ code: "BOUGH_SCOPE_CLOSED" });
    expect((await handle.shutdown()).running).toBe(0);
  });

  it.each([
    [
      "throws",
      () => {
        throw new Error("planted");
      },
    ],
    ["rejects", () => Promise.reject(new Error("planted"))],
    [
      "returns something whose `then` throws",
      () => ({
        // oxlint-disable-next-line unicorn/no-thenable -- it is about such a value
        then() {
          throw new Error("planted");
        },
      }),
    ],
  ] as [string, () => unknown][])("that %s passes its own failure to the host", async (_, fetch) => {
    expect(await rejection(application(fetch)(get()))).toMatchObject({ message: "planted" });
  });

  it("is answered with 499 if it fails because its client has left, though no code has read the scope", async () => {
    const leaving = new AbortController();
    const handle = application(
      ({ signal }) =>
        new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error))),
    );
    const response = handle(get({ signal: leaving.signal }));
    leaving.abort();
    expect((await response).status).toBe(499);
  });

  it("learns from requestOutcome at once that its client has left", async () => {
    const leaving = new AbortController();
    const handle = application(
      (request) =>
        new Promise((resolve) =>
          request.signal.addEventListener("abort", () => {
            const { status } = requestOutcome(request, request.signal.reason);
            resolve(new Response(null, { status: status ?? 500 }));
          }),
        ),
    );
    const response = handle(get({ signal: leaving.signal }));
    leaving.abort();
    expect((await response).status).toBe(499);
  });

  it("is answered with 504 if one of its calls exceeded its timeout", async () => {
    const own = createScope({ name: "own", supervise: true });
    const handle = application(() => spawn(own, (task) => sleep(task, 100_000), { timeout: 1 }));
    expect((await handle(get())).status).toBe(504);
    await own.close();
  });

  it("gets the status of a failure from requestOutcome, and is notified of a disconnect", async () => {
    const leaving = new AbortController();
    const seen: unknown[] = [];
    const handle = application(async (request) => {
      try {
        await sleep(requestScope(request), 100_000);
        return new Response("never");
      } catch (error) {
        const { status } = requestOutcome(request, error);
        seen.push(status, requestScope(request).reason?.kind);
        return new Response(null, { status: status ?? 500 });
      }
    });
    const response = handle(get({ signal: leaving.signal }));
    await flush();
    leaving.abort();
    expect((await response).status).toBe(499);
    expect(seen).toEqual([499, "disconnected"]);
  });

  it("keeps a worker alive by waitUntil from the first read of the scope on", async () => {
    const waits: Promise<unknown>[] = [];
    const context = { waitUntil: (promise: Promise<unknown>) => void waits.push(promise) };
    const cleanup = deferred();
    const handle = application((request) => {
      if (request.method === "POST") requestScope(request).defer(() => cleanup.promise);
      return new Response("x");
    });
    await handle(get(), {}, context);
    expect(waits).toEqual([]);
    await handle(get({ method: "POST" }), {}, context);
    expect(await outcomeOf(Promise.all(waits))).toBe("pending");
    cleanup.resolve();
    expect(await Promise.all(waits)).toEqual([undefined]);
  });

  describe("has the scope of a request made at once", () => {
    it.each<[string, FetchBoughOptions<Request, unknown[]>]>([
      ["with a timeout", { timeout: 100_000 }],
      ["with a deadline header", { deadlineHeader: true }],
      ["with onCancelled", { onCancelled: () => undefined }],
      ["with a function that names the route", { route: () => "GET /a" }],
    ])("%s", async (_, options) => {
      const work = deferred<Response>();
      const handle = application(() => work.promise, options);
      const response = handle(get());
      expect(requests(handle)).toEqual(["GET /a"]);
      work.resolve(new Response("x"));
      await response;
    });
  });
});

describe("rule 35: the time of an application's request", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
  afterEach(() => void vi.useRealTimers());

  it("ends with 503 if it was limited later, and the handler ignores the cancellation", async () => {
    const handle = application(async (request) => {
      await flush();
      requestScope(request, { timeout: 10 });
      return forever();
    });
    const response = handle(get());
    await flush();
    await vi.advanceTimersByTimeAsync(10);
    expect((await response).status).toBe(503);
  });

  it("ends with 503 by the option timeout, though no code has read the scope", async () => {
    const handle = application(forever, { timeout: 10 });
    const response = handle(get());
    await vi.advanceTimersByTimeAsync(10);
    expect((await response).status).toBe(503);
  });
});

describe("rule 32: the shutdown of an application's requests", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
  afterEach(() => void vi.useRealTimers());

  it("waits for requests whose scopes were never read", async () => {
    const works = [deferred<Response>(), deferred<Response>(), deferred<Response>()];
    const left = [...works];
    const handle = application(() => left.shift()?.promise);
    const responses = works.map(() => handle(get()));
    works[1]?.resolve(new Response("1"));
    await responses[1];
    const report = handle.shutdown();
    expect(requests(handle)).toEqual(["GET /a", "GET /a"]);
    works[0]?.resolve(new Response("0"));
    await responses[0];
    expect(await outcomeOf(report)).toBe("pending");
    works[2]?.resolve(new Response("2"));
    expect(await report).toMatchObject({ running: 2, cancelled: 0, stuck: [], cutOff: 0 });
    expect(await (await (responses[2] as Promise<Response>)).text()).toBe("2");
  });

  it("answers stuck requests with 503, and does not call the application after its end", async () => {
    const fetch = vi.fn<() => Promise<never>>(forever);
    const handle = application(fetch);
    const response = handle(get());
    const report = handle.shutdown({ grace: 10 });
    await vi.advanceTimersByTimeAsync(2_000);
    expect((await response).status).toBe(503);
    expect(await report).toMatchObject({ running: 1, cancelled: 1 });
    expect((await handle(get())).status).toBe(503);
    expect(fetch).toHaveBeenCalledOnce();
  });

  it.each<[string, () => unknown, object, number]>([
    ["at once", () => new Response("x"), { running: 1, cancelled: 0 }, 200],
    ["later", async () => new Response("x"), { running: 1, cancelled: 0 }, 200],
    ["never", forever, { running: 1, cancelled: 1 }, 503],
  ])("counts the request in whose call it begins, which answers %s", async (_, work, expected, status) => {
    const reports: Promise<unknown>[] = [];
    const handle = application(() => {
      reports.push(handle.shutdown({ grace: 10 }));
      return work();
    });
    const response = handle(get());
    await vi.advanceTimersByTimeAsync(2_000);
    expect((await response).status).toBe(status);
    expect(await reports[0]).toMatchObject(expected);
  });

  it("serves requests that still arrive, and waits for them", async () => {
    const first = deferred<Response>();
    const second = deferred<Response>();
    const left = [first, second];
    const handle = application(() => left.shift()?.promise);
    const responses = [handle(get())];
    const report = handle.shutdown();
    responses.push(handle(get()));
    first.resolve(new Response("x"));
    await flush();
    expect(await outcomeOf(report)).toBe("pending");
    second.resolve(new Response("y"));
    expect((await Promise.all(responses)).map(({ status }) => status)).toEqual([200, 200]);
    expect((await report).cancelled).toBe(0);
  });

  it("answers 503 when the parent of all requests is cancelled", async () => {
    const app = createScope({ name: "app", supervise: true });
    const reasons: unknown[] = [];
    const handle = application(
      async (request) => {
        await flush();
        await flush();
        requestScope(request).onCancel(({ kind }) => void reasons.push(kind));
        return forever();
      },
      { parent: app },
    );
    const response = handle(get());
    app.cancel();
    await flush();
    await vi.advanceTimersByTimeAsync(700);
    expect((await response).status).toBe(503);
    expect(reasons).toEqual(["explicit"]);
    await app.close();
  });
});

describe("rule 35: an application in fetchBough, once a channel has had a subscriber", () => {
  it("has the scope of each request made at once, and published", async () => {
    const opened: string[] = [];
    const note = (message: unknown): void => {
      const { kind, scope } = message as { kind: string; scope: Scope };
      if (kind === "request") opened.push(scope.name);
    };
    channel("bough:scope:open").subscribe(note);
    const handle = application(() => new Response("x"));
    await handle(get());
    channel("bough:scope:open").unsubscribe(note);
    expect(opened).toEqual(["GET /a"]);
  });
});

describe("a handler that returns a thenable which calls back at once", () => {
  const planted = new Error("planted");
  interface Callback {
    (value: unknown): void;
  }
  // oxlint-disable-next-line unicorn/no-thenable -- the input of the test
  const thenable = (then: (resolve: Callback, reject: Callback) => void): unknown => ({ then });

  it.each([
    ["a handler", (made: unknown) => fetchBough(() => made as Response)],
    ["an application", (made: unknown) => fetchBough({ fetch: () => made as Response })],
  ])("is answered: %s", async (_, serve) => {
    const answered = serve(thenable((resolve) => resolve(new Response("now"))));
    expect(await (await answered(get())).text()).toBe("now");
    const refused = serve(thenable((_resolve, reject) => reject(planted)));
    await expect(refused(get())).rejects.toBe(planted);
    const thrown = serve(
      thenable(() => {
        throw planted;
      }),
    );
    await expect(thrown(get())).rejects.toBe(planted);
  });
});
