import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { describe, expect, it } from "vitest";
import { sleep, type Scope } from "../index.js";
import { deferred } from "../../test/support/deferred.js";
import { fetchBough, requestOutcome, requestScope } from "./index.js";

// A middleware of Hono that replaces the request by a copy.

interface Env {
  readonly Variables: { readonly request: Request };
}

/** An upload without a length: `bodyLimit` has to read it. */
function upload(signal?: AbortSignal): Request {
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode("hello"));
      controller.close();
    },
  });
  const headers = { "transfer-encoding": "chunked" };
  const init = { method: "POST", body, headers, duplex: "half", ...(signal && { signal }) };
  return new Request("http://localhost/", init as RequestInit);
}

function appOf(find: (raw: Request, stored: Request) => Request): { app: Hono<Env>; failures: unknown[] } {
  const failures: unknown[] = [];
  const app = new Hono<Env>();
  app.use(async (c, next) => {
    c.set("request", c.req.raw);
    await next();
  });
  app.use(bodyLimit({ maxSize: 100 }));
  app.post("/", async (c) => {
    const scope = requestScope(find(c.req.raw, c.get("request")));
    working.resolve(scope);
    const text = await c.req.text();
    await sleep(scope, 60_000);
    return c.text(text);
  });
  app.onError((failure, c) => {
    const { status, error } = requestOutcome(find(c.req.raw, c.get("request")), failure);
    if (status !== undefined) return c.body(null, status as 503);
    failures.push(error);
    return c.text("failed", 500);
  });
  return { app, failures };
}

let working = deferred<Scope>();

describe("a request that bodyLimit of Hono has replaced", () => {
  it("has no scope, and the error says why", async () => {
    const { app, failures } = appOf((raw) => raw);
    expect((await fetchBough(app)(upload())).status).toBe(500);
    expect(failures).toMatchObject([
      { code: "BOUGH_NO_REQUEST_SCOPE", message: expect.stringContaining("bodyLimit") as string },
    ]);
  });

  it("is found if it was stored before, and ends with 503 when its time is up", async () => {
    const { app, failures } = appOf((_, stored) => stored);
    expect((await fetchBough(app, { timeout: 5 })(upload())).status).toBe(503);
    expect(failures).toEqual([]);
  });

  it("is found if it was stored before, and ends with 499 when its client leaves", async () => {
    working = deferred();
    const { app, failures } = appOf((_, stored) => stored);
    const client = new AbortController();
    const response = fetchBough(app)(upload(client.signal));
    const scope = await working.promise;
    client.abort();
    expect((await response).status).toBe(499);
    expect(scope.reason?.kind).toBe("disconnected");
    expect(failures).toEqual([]);
  });
});

describe("a request that a router has wrapped", () => {
  it("is served although its signal cannot be read", async () => {
    const request = new Request("http://localhost/");
    const signal = {
      get(): never {
        throw new TypeError("not an instance of Request");
      },
    };
    const handle = fetchBough(async (_: Request, scope) => {
      await sleep(scope, 30); // by then, its client would be watched
      return new Response("hello");
    });
    const response = await handle(Object.defineProperty(request, "signal", signal));
    expect(await response.text()).toBe("hello");
  });

  const wrappers: Readonly<Record<string, (request: Request) => Request>> = {
    "in a proxy": (request) => new Proxy(request, {}),
    "in an object that inherits from it": (request) => Object.create(request) as Request,
  };

  it.each(Object.keys(wrappers))("has the scope of the request, %s", async (name) => {
    const wrap = wrappers[name] as (request: Request) => Request;
    const app = {
      async fetch(request: Request) {
        const scope = requestScope(wrap(request));
        await sleep(scope, 1);
        return Response.json([scope === requestScope(request), scope.state]);
      },
    };
    expect(await (await fetchBough(app)(new Request("http://localhost/"))).json()).toEqual([true, "open"]);
  });
});
