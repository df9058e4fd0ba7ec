import { describe, expect, it, vi } from "vitest";
import { createScope, sleep, spawn, withScope } from "../index.js";
import { coarseElapsed, elapsed } from "../kernel/monotonic-clock.js";
import { flush, rejection, thrown } from "../../test/support/deferred.js";
import { fetchBough, outgoingHeaders, requestOutcome, requestScope } from "./index.js";

const url = "http://localhost/users/1?token=secret";
const get = (path = "/"): Request => new Request(`http://localhost${path}`);

describe("fetchBough()", () => {
  it("passes the handler the request, its scope and the other arguments of the host", async () => {
    const handle = fetchBough((request: Request, scope, env: { a: number }, more: string) => {
      expect(requestScope(request)).toBe(scope);
      return Response.json({ path: scope.path, a: env.a, more });
    });
    const response = await handle(new Request(url), { a: 1 }, "x");
    expect(await response.json()).toEqual({ path: "server/GET /users/1", a: 1, more: "x" });
  });

  it("calls the handler with the `this` of the host, as Bun sets it, and at once", async () => {
    const seen: unknown[] = [];
    const host = {
      handle: fetchBough(function (this: unknown, _request: Request) {
        seen.push(this);
        return new Response("x");
      }),
    };
    expect(host.handle(get())).toBeInstanceOf(Promise);
    expect(seen).toEqual([host]);
  });

  it.each([
    ["http://localhost", "GET /"],
    ["http://localhost?a=1", "GET /"],
    ["http://localhost/a/b?c=/d", "GET /a/b"],
    ["https://user@example.org:8080/a", "GET /a"],
  ])("names a request by method and path, without the query: %s", async (from, name) => {
    const handle = fetchBough((_request: Request, scope) => new Response(scope.name));
    const request = { url: from, method: "GET", headers: new Headers() } as Request;
    expect(await (await handle(request)).text()).toBe(name);
  });

  it.each([
    ["a text", "GET /users/:id", "GET /users/:id"],
    ["a function", (request: Request, id: string) => `${request.method} ${id}`, "GET 7"],
    ["a function that does not know", () => undefined, "GET /users/1"],
  ])("names a request by its route: %s", async (_, route, name) => {
    const handle = fetchBough((_request: Request, scope, _id: string) => new Response(scope.name), { route });
    expect(await (await handle(new Request(url), "7")).text()).toBe(name);
  });

  it.each([
    [
      "throws",
      () => {
        throw new Error("planted");
      },
      "planted",
    ],
    ["returns a number", () => 7 as never, "fetchBough: route must return a string, got 7"],
    ["returns a promise", () => Promise.resolve("GET /") as never, "fetchBough: route must return a string"],
  ])("names a request as without a route, and prints the error, if route %s", async (_, route, message) => {
    const print = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const handle = fetchBough((_request: Request, scope) => new Response(scope.name), { route });
    expect(await (await handle(new Request(url))).text()).toBe("GET /users/1");
    const app = fetchBough(
      { fetch: (request: Request) => new Response(requestScope(request).name) },
      { route },
    );
    expect(await (await app(new Request(url))).text()).toBe("GET /users/1");
    expect(print.mock.calls.map(([, error]) => String(error))).toEqual([
      expect.stringContaining(message),
      expect.stringContaining(message),
    ]);
    print.mockRestore();
  });

  it("puts all requests into one scope, which may have a parent and a name", async () => {
    await withScope({ name: "app" }, async (app) => {
      const handle = fetchBough((_request: Request, scope) => new Response(scope.path), {
        parent: app,
        name: "api",
      });
      expect(handle.scope.path).toBe("app/api");
      expect(await (await handle(get())).text()).toBe("app/api/GET /");
      await handle.shutdown();
    });
  });

  it("runs jobs that outlive their request in its own scope", async () => {
    const done: string[] = [];
    const handle = fetchBough(() => {
      spawn(handle.scope, async () => {
        await flush();
        done.push("job");
      });
      return new Response("accepted", { status: 202 });
    });
    await handle(get());
    expect(done).toEqual([]);
    await handle.shutdown();
    expect(done).toEqual(["job"]);
  });

  it("passes the deadline of a request on under the name of its header", async () => {
    const handle = fetchBough(
      (_request: Request, scope) => Response.json(Object.keys(outgoingHeaders(scope))),
      { deadlineHeader: "x-left", timeout: 1_000 },
    );
    expect(await (await handle(get())).json()).toEqual(["x-left"]);
  });

  it("asks its option isCancellation which errors are cancellations", async () => {
    const foreign = new Error("the client's own");
    const handle = fetchBough(
      async (_request: Request, scope) => {
        await sleep(scope, 60_000).catch(() => undefined);
        throw foreign;
      },
      { timeout: 1, isCancellation: (error) => error === foreign },
    );
    expect((await handle(get())).status).toBe(503);
  });

  it.each([
    ["fetchBough", () => fetchBough(undefined as never), "handler must be a function"],
    ["a misspelt option", () => fetchBough(() => new Response(), { timeOut: 1 } as never), "timeOut"],
    ["timeout", () => fetchBough(() => new Response(), { timeout: -1 }), "timeout"],
    ["grace", () => fetchBough(() => new Response(), { grace: Number.NaN }), "grace"],
    ["drainDelay", () => fetchBough(() => new Response(), { drainDelay: "1" as never }), "drainDelay"],
    [
      "route",
      () => fetchBough(() => new Response(), { route: 1 as never }),
      "route must be a string or a function",
    ],
    [
      "respond",
      () => fetchBough(() => new Response(), { respond: 1 as never }),
      "respond must be a function",
    ],
    [
      "onCancelled",
      () => fetchBough(() => new Response(), { onCancelled: {} as never }),
      "onCancelled must be a function",
    ],
    [
      "deadlineHeader",
      () => fetchBough(() => new Response(), { deadlineHeader: "a b" }),
      "deadlineHeader must be",
    ],
    ["parent", () => fetchBough(() => new Response(), { parent: {} as never }), "parent"],
    ["name", () => fetchBough(() => new Response(), { name: 1 as never }), "name must be a string"],
    ["a request", () => fetchBough(() => new Response())("x" as never), "request must be a Request, got"],
  ])("refuses what it can't use: %s", (_, call, message) => {
    const error = thrown(call);
    expect(error).toSatisfy((value) => value instanceof TypeError || value instanceof RangeError);
    expect((error as Error).message).toContain(message);
  });

  it("makes requests that start cancelled if its parent is", async () => {
    const parent = createScope();
    parent.cancel("over");
    const handle = fetchBough((_request: Request) => new Response("x"), { parent });
    expect((await handle(get())).status).toBe(503);
  });

  it("rejects with the failure of the handler, also if its cause cannot be read", async () => {
    const failure = Object.defineProperty(new Error("planted"), "cause", {
      get() {
        throw new Error("unreadable");
      },
    });
    const handle = fetchBough((_request: Request) => Promise.reject(failure));
    expect(await rejection(handle(get()))).toBe(failure);
  });

  it("reads the clock again for a scope that starts after a request that it has refused", async () => {
    const handle = fetchBough((_request: Request) => new Response("x"));
    await handle.shutdown();
    expect((await handle(get())).status).toBe(503);
    const refused = elapsed();
    await vi.waitUntil(() => elapsed() > refused + 2, 10_000);
    const before = Math.floor(elapsed());
    expect(coarseElapsed()).toBeGreaterThanOrEqual(before);
  });
});

describe("requestScope()", () => {
  it("is the scope of the handler for middleware around it", async () => {
    const seen: unknown[] = [];
    const inner = (request: Request): Response => {
      seen.push(requestScope(request));
      return new Response("x");
    };
    const handle = fetchBough((request: Request, scope) => {
      seen.push(scope);
      return inner(request);
    });
    await handle(get());
    expect(seen[0]).toBe(seen[1]);
  });

  it("names the request when its route is known", async () => {
    const handle = fetchBough((request: Request) => {
      requestScope(request, { name: "GET /users/:id" });
      return new Response(requestScope(request).path);
    });
    expect(await (await handle(new Request(url))).text()).toBe("server/GET /users/:id");
  });

  it("requestScope refuses a request that did not go through fetchBough, and a copy of one that did", async () => {
    const error = thrown(() => requestScope(get())) as { code: string; message: string };
    expect(error.code).toBe("BOUGH_NO_REQUEST_SCOPE");
    expect(error.message).toContain("requestScope: the request did not go through fetchBough");
    const handle = fetchBough((request: Request) => new Response(requestScope(new Request(request)).path));
    expect(await rejection(handle(get()))).toMatchObject({ code: "BOUGH_NO_REQUEST_SCOPE" });
    expect(thrown(() => requestScope(1 as never))).toBeInstanceOf(TypeError);
  });
});

describe("requestOutcome()", () => {
  it("says of a request that did not go through fetchBough that it has failed, so that an error handler never fails", () => {
    const failure = new Error("x");
    expect(requestOutcome(get(), failure)).toEqual({ error: failure });
    expect(requestOutcome(get(), undefined)).toEqual({ error: undefined });
    expect(thrown(() => requestOutcome(1 as never, failure))).toBeInstanceOf(TypeError);
  });

  it("says that a cancelled request did not go through fetchBough, if it is given a copy of the request", async () => {
    const handle = fetchBough(
      async (request: Request, scope) => {
        const error = await rejection(sleep(scope, 1_000));
        const outcome = requestOutcome(new Request(request), error);
        expect(outcome).toMatchObject({ error: { code: "BOUGH_NO_REQUEST_SCOPE", cause: error } });
        return new Response(String(outcome.status));
      },
      { timeout: 1 },
    );
    expect(await (await handle(get())).text()).toBe("undefined");
  });

  it("is for frameworks that catch the failures of handlers themselves", async () => {
    const onCancelled = vi.fn<() => void>();
    const handle = fetchBough(
      async (request: Request, scope) => {
        try {
          await sleep(scope, 60_000);
        } catch (error) {
          const { status } = requestOutcome(request, error);
          return new Response("framework", { status: status ?? 500 });
        }
        return new Response("never");
      },
      { timeout: 1, onCancelled },
    );
    const response = await handle(get());
    expect([response.status, await response.text()]).toEqual([503, "framework"]);
    expect(onCancelled).toHaveBeenCalledOnce();
  });

  it("is the failure of the task, which then counts as received", async () => {
    const failure = new Error("planted");
    const errors: unknown[] = [];
    const handle = fetchBough(
      async (request: Request, scope) => {
        spawn(scope, () => Promise.reject(failure));
        try {
          await sleep(scope, 60_000);
        } catch (error) {
          return Response.json(requestOutcome(request, error).error === failure);
        }
        return new Response("never");
      },
      { onError: (error) => errors.push(error) },
    );
    expect(await (await handle(get())).json()).toBe(true);
    await flush();
    await flush();
    expect(errors).toEqual([]);
  });
});
