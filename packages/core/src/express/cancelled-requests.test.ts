import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import express, { type Express, type Request, type RequestHandler, type Response } from "express";
import express4 from "express4";
import { pinoHttp } from "pino-http";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi, type MockInstance } from "vitest";
import { deferred, flush } from "../../test/support/deferred.js";
import { RawConnection } from "../../test/support/http-clients.js";
import { serve } from "../../test/support/http-server.js";
import { requestScope, serverScope, type CancelledOutcome } from "../http/index.js";
import { sleep, spawn, withScope, type CancelledError } from "../index.js";
import type { ScopeCloseMessage } from "../kernel/diagnostics.js";
import { expressBough } from "./index.js";

const boom = new Error("boom");

async function listen(app: Express): Promise<() => RawConnection> {
  const server = app.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return () => {
    const connection = new RawConnection((server.address() as AddressInfo).port);
    onTestFinished(() => void connection.socket.destroy());
    return connection;
  };
}

/** The messages of the channel of ended scopes about the scopes with these names. */
function watchClosed(...names: string[]): { name: string; status: string; error: unknown }[] {
  const told: { name: string; status: string; error: unknown }[] = [];
  const listener = (message: unknown): void => {
    const { scope, status, error } = message as ScopeCloseMessage;
    if (names.includes(scope.name)) told.push({ name: scope.name, status, error });
  };
  subscribe("bough:scope:close", listener);
  onTestFinished(() => void unsubscribe("bough:scope:close", listener));
  return told;
}

describe.each([
  { major: 5, create: express },
  { major: 4, create: express4 },
])("a cancelled request of Express $major", ({ create }) => {
  let printed: MockInstance;
  beforeEach(() => void (printed = vi.spyOn(console, "error").mockImplementation(() => undefined)));
  afterEach(() => vi.restoreAllMocks());

  const failing =
    (body: (request: Request, response: Response) => Promise<unknown>): RequestHandler =>
    (request, response, next) =>
      // oxlint-disable-next-line promise/no-callback-in-promise -- this is how it is done in Express 4
      void body(request, response).catch(next);

  it("rule 30: is reported to onCancelled once, and answered by respond", async () => {
    const told: [CancelledOutcome, string][] = [];
    const app = create();
    app.use(
      expressBough({
        timeout: 300,
        onCancelled: (outcome, request) => told.push([outcome, request.path]),
        respond: ({ status, error }, request, response) =>
          response.status(status).json({ of: request.path, why: (error as CancelledError).scope }),
      }),
    );
    app.get(
      "/stock",
      failing((request) =>
        withScope(request.scope, { name: "stock", timeout: 5 }, (own) => sleep(own, 60_000)),
      ),
    );
    app.get(
      "/slow",
      failing((request) => sleep(request.scope, 60_000)),
    );
    app.get("/deaf", (_request, response) => void setTimeout(() => response.json("late"), 400));
    const connect = await listen(app);
    const connection = connect();
    const bodies: unknown[] = [];
    for (const path of ["/stock", "/slow", "/deaf"]) {
      const answer = await connection.request({ path }).answer;
      bodies.push([answer?.status, JSON.parse(answer?.body ?? "")]);
    }
    expect(bodies).toEqual([
      [504, { of: "/stock", why: "server/GET /stock/stock" }],
      [503, { of: "/slow", why: "server/GET /slow" }],
      [503, { of: "/deaf", why: expect.stringMatching(/^server\/GET \/deaf$/) }],
    ]);
    await new Promise((resolve) => setTimeout(resolve, 150)); // the late answer
    expect(told.map(([{ status }, path]) => [status, path])).toEqual([
      [504, "/stock"],
      [503, "/slow"],
      [503, "/deaf"],
    ]);
    expect(printed).not.toHaveBeenCalled();
  });

  it("rule 30: is answered by bough when respond fails or does nothing, and reported on a route with its own middleware", async () => {
    const onCancelled = vi.fn<(outcome: CancelledOutcome) => void>();
    const app = create();
    app.use(expressBough({ timeout: 10, respond: () => Promise.reject(boom) }));
    const slow = failing((request) => sleep(request.scope, 60_000));
    app.get("/", slow);
    app.get("/own", expressBough({ onCancelled, respond: () => undefined }), slow);
    const connect = await listen(app);
    expect(await connect().request().answer).toMatchObject({ status: 503, body: "Service Unavailable\n" });
    expect(printed.mock.calls[0]?.[1]).toBe(boom);
    expect(onCancelled).not.toHaveBeenCalled();
    expect(await connect().request({ path: "/own" }).answer).toMatchObject({ status: 503 });
    expect(onCancelled).toHaveBeenCalledTimes(1);
  });

  it.each(["onCancelled", "respond"])("refuses a hook that is not a function: %s", (name) => {
    expect(() => expressBough({ [name]: "log" })).toThrow(
      new TypeError(`expressBough: ${name} must be a function, got "log"`),
    );
  });

  it.each([
    { order: "before", scoped: true, timeout: undefined },
    { order: "after", scoped: true, timeout: undefined },
    { order: "before", scoped: false, timeout: undefined },
    { order: "after", scoped: false, timeout: undefined },
    { order: "before", scoped: true, timeout: 60_000 },
    { order: "after", scoped: false, timeout: 60_000 },
  ])("rule 30: is 499 to loggers, mounted $order, scope read: $scoped, timeout: $timeout", async (row) => {
    const lines: string[] = [];
    const app = create();
    const loggers: RequestHandler[] = [
      (_request, response, next) => {
        response.on("close", () => lines.push(`close: ${response.statusCode}`));
        response.prependListener("close", () =>
          lines.push(`first: ${response.headersSent ? response.statusCode : "unknown"}`),
        );
        next();
      },
      pinoHttp(
        {},
        { write: (line: string) => void lines.push(`pino-http: ${String(statusIn(line))}`) },
      ) as RequestHandler,
    ];
    if (row.order === "before") app.use(loggers);
    app.use(expressBough({ timeout: row.timeout }));
    if (row.order === "after") app.use(loggers);
    const arrived = deferred<Response>();
    app.get("/", (request, response) => {
      arrived.resolve(response);
      if (row.scoped) sleep(request.scope, 60_000).catch(() => undefined);
    });
    app.get("/first", (_request, response) => response.end());
    const connect = await listen(app);
    const connection = connect();
    await connection.request({ path: "/first" }).answer;
    lines.length = 0;
    connection.request().abort();
    const aborted = connect();
    const client = aborted.request();
    const response = await arrived.promise;
    client.abort();
    await expect.poll(() => lines).toContain("pino-http: 499");
    expect(lines).toContain("close: 499");
    expect(lines).toContain("first: 499");
    expect(lines.filter((line) => !line.endsWith("499"))).toEqual([]);
    await flush();
    expect(response.headersSent).toBe(false);
  });

  it("has the name of its route, with the patterns of the routers it is in", async () => {
    const names: (readonly [string, string])[] = [];
    const note = failing(async (request, response) => {
      const { scope } = request;
      names.push([request.originalUrl.replace(/\?.*/, ""), scope.name]);
      response.end();
    });
    const app = create();
    app.use(expressBough());
    app.get("/orders/:id", note);
    const items = create.Router();
    items.post("/", note);
    items.get("/items/:item", note);
    const shops = create.Router();
    shops.use("/shops/:shop", items);
    app.use("/v1", shops);
    app.use("/v2", shops);
    const admin = create();
    admin.get("/users/:user", note);
    app.use("/admin", admin);
    app.use("/static", note);
    app.get(/^\/any.*/, note);
    const connect = await listen(app);
    const connection = connect();
    await connection.request({ path: "/orders/1?token=secret" }).answer;
    await connection.request({ path: "/v1/shops/7%207/items/b" }).answer;
    await connection.request({ path: "/v2/shops/8/items/b" }).answer;
    await connection.request({ method: "POST", path: "/v1/shops/7" }).answer;
    await connection.request({ path: "/admin/users/5" }).answer;
    await connection.request({ path: "/static/a.css?v=1" }).answer;
    await connection.request({ path: "/anything" }).answer;
    expect(names).toEqual([
      ["/orders/1", "GET /orders/:id"],
      ["/v1/shops/7%207/items/b", "GET /v1/shops/:shop/items/:item"],
      ["/v2/shops/8/items/b", "GET /v2/shops/:shop/items/:item"],
      ["/v1/shops/7", "POST /v1/shops/:shop"],
      ["/admin/users/5", "GET /admin/users/:user"],
      ["/static/a.css", "GET /static/a.css"],
      ["/anything", "GET /^\\/any.*/"],
    ]);
  });

  it("has the name of its route when it has ended, though its name was read before the route was known", async () => {
    const told = watchClosed("GET /late/:id");
    const app = create();
    app.use(expressBough({ timeout: 60_000 }));
    app.use((request, _response, next) => {
      expect(request.scope.name).toBe("GET /late/1");
      next();
    });
    app.get("/late/:id", (request, response) => response.end(request.scope.name));
    const connect = await listen(app);
    expect((await connect().request({ path: "/late/1" }).answer)?.body).toBe("GET /late/:id");
    await expect.poll(() => told).toMatchObject([{ status: "succeeded" }]);
  });

  it("rule 11: its failed task does not end the process when the failure has no receiver, and is printed", async () => {
    const app = create();
    app.use(expressBough({ timeout: 60_000 }));
    app.post("/orders", (request, response) => {
      spawn(request.scope, function audit() {
        throw boom;
      });
      response.sendStatus(202);
    });
    const connect = await listen(app);
    expect(await connect().request({ method: "POST", path: "/orders" }).answer).toMatchObject({
      status: 202,
    });
    await expect.poll(() => printed.mock.calls).toHaveLength(1);
    expect(printed.mock.calls[0]).toEqual([expect.stringContaining("server/POST /orders/audit"), boom]);
  });
});

function statusIn(line: string): unknown {
  return (JSON.parse(line) as { res: { statusCode: unknown } }).res.statusCode;
}

describe("rule 27: the channel of ended scopes reports a request of node:http", () => {
  it("that it was cancelled, with its reason, when it was answered with 503", async () => {
    const told = watchClosed("timed out", "shut down");
    const begun = deferred();
    const bench = await serve("http/1.1", (request, response) => {
      const name = request.url === "/a" ? "timed out" : "shut down";
      const scope = requestScope(request, response, { name, ...(request.url === "/a" && { timeout: 10 }) });
      if (request.url === "/a") return;
      sleep(scope, 60_000).catch(() => undefined);
      begun.resolve(undefined);
    });
    const server = serverScope(bench.server, { grace: 0 });
    expect(await (await bench.request({ path: "/a" })).answer).toMatchObject({ status: 503 });
    await expect
      .poll(() => told)
      .toMatchObject([{ name: "timed out", status: "cancelled", error: { kind: "deadline" } }]);
    const { answer } = await bench.request({ path: "/b" });
    await begun.promise;
    await server.shutdown();
    expect(await answer).toMatchObject({ status: 503 });
    expect(told[1]).toMatchObject({ name: "shut down", status: "cancelled", error: { kind: "shutdown" } });
  });

  it("that it failed with the deadline of a call, when it was answered with 504", async () => {
    const told = watchClosed("GET /upstream");
    const app = express();
    app.use(expressBough());
    let error: unknown;
    app.get("/upstream", async (request) => {
      try {
        await withScope(request.scope, { timeout: 5 }, (own) => sleep(own, 60_000));
      } catch (caught) {
        error = caught;
        throw caught;
      }
    });
    const connect = await listen(app);
    expect(await connect().request({ path: "/upstream" }).answer).toMatchObject({ status: 504 });
    await expect.poll(() => told).toHaveLength(1);
    expect(told[0]).toMatchObject({ status: "failed", error: { kind: "deadline" } });
    expect(told[0]?.error).toBe(error);
  });

  it("and the hooks of the server are called, also for a client that leaves before the scope is asked for", async () => {
    const told: number[] = [];
    const arrived = deferred();
    const bench = await serve("http/1.1", (request, response) => {
      if (request.url === "/gone") return arrived.resolve();
      return void requestScope(request, response, { timeout: 10 });
    });
    serverScope(bench.server, {
      onCancelled: ({ status }) => told.push(status),
      respond: ({ status }, _request, response) => response.writeHead(status).end("mine"),
    });
    expect(await (await bench.request()).answer).toMatchObject({ status: 503, body: "mine" });
    const client = await bench.request({ path: "/gone" });
    await arrived.promise;
    client.abort();
    await expect.poll(() => told).toEqual([503, 499]);
  });
});
