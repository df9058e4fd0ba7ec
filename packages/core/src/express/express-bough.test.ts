import { once } from "node:events";
import http from "node:http";
import { fileURLToPath } from "node:url";
import type { AddressInfo, Server } from "node:net";
import express, { type Express, type NextFunction, type Request, type Response } from "express";
import express4 from "express4";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi, type MockInstance } from "vitest";
import { requestScope } from "../http/index.js";
import { serverStateOf } from "../http/server-scope.js";
import { sleep, spawn, type CancelledError, type Scope } from "../index.js";
import { deferred, flush } from "../../test/support/deferred.js";
import { RawConnection } from "../../test/support/http-clients.js";
import { expressBough } from "./index.js";

const boom = new Error("boom");

async function listen(app: Express): Promise<{ server: Server; connect: () => RawConnection }> {
  const server = app.listen(0, "127.0.0.1");
  await once(server, "listening");
  const connections: RawConnection[] = [];
  onTestFinished(() => {
    for (const { socket } of connections) socket.destroy();
    server.close();
  });
  const connect = (): RawConnection => {
    const connection = new RawConnection((server.address() as AddressInfo).port);
    connections.push(connection);
    return connection;
  };
  return { server, connect };
}

describe.each([
  { major: 5, create: express },
  { major: 4, create: express4 },
])("expressBough() with Express $major", ({ create, major }) => {
  let logged: MockInstance;
  /** The errors that the app's own error handler received. */
  let errors: unknown[];

  beforeEach(() => {
    logged = vi.spyOn(console, "error").mockImplementation(() => undefined);
    errors = [];
  });
  afterEach(() => vi.restoreAllMocks());

  /** Express 4 does not look at the promise of a handler. */
  const handler =
    (body: (req: Request, res: Response) => Promise<unknown>) =>
    (req: Request, res: Response, next: NextFunction): unknown =>
      // oxlint-disable-next-line promise/no-callback-in-promise -- this is how it is done there
      major === 4 ? void body(req, res).catch(next) : body(req, res);

  function makeApp(options?: Parameters<typeof expressBough>[0]): Express {
    const app = create();
    app.set("env", "production"); // in "test" Express logs nothing
    app.use(expressBough(options));
    return app;
  }

  function addErrorHandler(app: Express): void {
    app.use((error: unknown, _request: Request, response: Response, next: NextFunction) => {
      errors.push(error);
      if (response.headersSent) next(error);
      else response.status(500).send("mine");
    });
  }

  it("serves several apps, and a router that has none", async () => {
    const bough = expressBough();
    const say = (request: Request, response: Response): unknown =>
      response.end(`${request.scope.path}, ${request.scope.state}`);
    const apps = [create(), create()];
    for (const app of apps) app.use(bough).get("/", say);
    const router = create.Router();
    router.use(bough).get("/", say);
    const bare = http.createServer((request, response) =>
      router(request as Request, response as Response, (error: unknown) => response.destroy(error as Error)),
    );
    bare.listen(0, "127.0.0.1");
    await once(bare, "listening");
    onTestFinished(() => void bare.close());
    const { port } = bare.address() as AddressInfo;
    const connections = (await Promise.all(apps.map(listen))).map(({ connect }) => connect());
    connections.push(new RawConnection(port));
    for (const [index, connection] of connections.entries()) {
      for (const round of [1, 2]) {
        const answer = await connection.request().answer;
        expect(answer?.body, `${index}, round ${round}`).toBe("server/GET /, open");
      }
    }
    for (const { socket } of connections) socket.destroy();
  });

  it("makes no scope, and listens to nothing, unless it is asked for one", async () => {
    const counts: unknown[] = [];
    for (const app of [makeApp(), create()]) {
      app.get("/", (request, response) => {
        const { server } = request.socket as unknown as { server: Server };
        counts.push([request.eventNames(), response.listenerCount("close")]);
        expect(serverStateOf(server).records.length).toBe(0);
        response.send("plain");
      });
      const { connect } = await listen(app);
      expect(await connect().request().answer).toMatchObject({ status: 200, body: "plain" });
    }
    expect(counts[0]).toEqual(counts[1]);
  });

  it("rule 31: req.scope is the scope that requestScope() returns, a child of the server's", async () => {
    const app = makeApp();
    let seen: Scope[] = [];
    app.get("/users/:id", (request, response) => {
      seen = [request.scope, request.scope, requestScope(request, response)];
      response.send("ok");
    });
    const { connect } = await listen(app);
    await connect().request({ path: "/users/1?token=secret" }).answer;
    expect(new Set(seen).size).toBe(1);
    expect(seen[0]?.path).toBe("server/GET /users/:id");
  });

  it("rule 31: the scopes of a route are named alike, with their methods, and its pattern is looked up once", async () => {
    const app = makeApp();
    const lookUps = vi.spyOn(app, "path");
    const names: string[] = [];
    app.all("/users/:id", (request, response) => {
      names.push(request.scope.name);
      response.send("ok");
    });
    const { connect } = await listen(app);
    for (const method of ["GET", "PUT", "GET"])
      await connect().request({ method, path: `/users/${names.length}?token=secret` }).answer;
    expect(names).toEqual(["GET /users/:id", "PUT /users/:id", "GET /users/:id"]);
    expect(lookUps).toHaveBeenCalledOnce();
  });

  it("rule 31: req.scope works in routers, sub-apps and error handlers", async () => {
    const app = makeApp();
    const names: string[] = [];
    const sub = create();
    sub.get("/in", (request, response) => {
      names.push(request.scope.name);
      response.send("ok");
    });
    const router = create.Router();
    router.get("/in", (request, response) => {
      names.push(request.scope.name);
      response.send("ok");
    });
    router.get("/fail", () => {
      throw boom;
    });
    app.use("/sub", sub);
    app.use("/router", router);
    app.use((_error: unknown, request: Request, response: Response, _next: NextFunction) => {
      names.push(`error ${request.scope.name}`);
      response.sendStatus(500);
    });
    const { connect } = await listen(app);
    const connection = connect();
    for (const path of ["/sub/in", "/router/in", "/router/fail"]) await connection.request({ path }).answer;
    expect(names).toEqual(["GET /sub/in", "GET /router/in", "error GET /router/fail"]);
  });

  it("rule 28: a JSON body does not cancel", async () => {
    const app = makeApp();
    app.use(create.json());
    const scopes: Scope[] = [];
    app.post(
      "/",
      handler(async (request, response) => {
        scopes.push(request.scope);
        await sleep(request.scope, 5);
        response.json(request.body);
      }),
    );
    const { connect } = await listen(app);
    const headers = { "content-type": "application/json" };
    const answer = await connect().request({ method: "POST", body: '{"a":1}', headers }).answer;
    expect(answer).toMatchObject({ status: 200, body: '{"a":1}' });
    await flush();
    expect(scopes[0]).toMatchObject({ cancelled: false, state: "closed" });
  });

  it("rule 30: a handler that fails because its client has disconnected is not an error", async () => {
    const app = makeApp();
    const arrived = deferred<[Request, Response]>();
    const failed = deferred();
    app.get(
      "/",
      handler(async (request, response) => {
        arrived.resolve([request, response]);
        await sleep(request.scope, 60_000).finally(() => setImmediate(failed.resolve));
      }),
    );
    addErrorHandler(app);
    const { connect } = await listen(app);
    const client = connect().request();
    const [, response] = await arrived.promise;
    client.abort();
    await failed.promise;
    await flush();
    expect(errors).toEqual([]);
    expect(logged).not.toHaveBeenCalled();
    expect(response.statusCode).toBe(499);
    expect(response.headersSent).toBe(false);
  });

  it("rule 30: an upload that breaks off is not an error, although no handler has asked for the scope", async () => {
    const app = makeApp();
    const parsing = deferred<Request>();
    app.use((request, _response, next) => {
      parsing.resolve(request);
      next();
    });
    app.use(create.json());
    app.post("/", (_request, response) => void response.send("never"));
    addErrorHandler(app);
    const { connect } = await listen(app);
    const headers = { "content-type": "application/json" };
    const client = connect().request({ method: "POST", body: '{"a"', length: 10, headers });
    const request = await parsing.promise;
    client.abort();
    await new Promise<void>((resolve) => request.socket.once("close", () => resolve()));
    await flush();
    await flush();
    expect(errors).toEqual([]);
    expect(logged).not.toHaveBeenCalled();
  });

  it("rule 30: runs before the app's error handlers wherever they are", async () => {
    const app = makeApp({ timeout: 5 });
    addErrorHandler(app);
    app.get(
      "/",
      handler((request) => sleep(request.scope, 60_000)),
    );
    app.get("/boom", () => {
      throw boom;
    });
    addErrorHandler(app);
    addErrorHandler(app);
    app.get(
      "/last",
      handler((request) => sleep(request.scope, 60_000)),
    );
    const { connect } = await listen(app);
    const connection = connect();
    for (const path of ["/", "/last"])
      expect(await connection.request({ path }).answer).toMatchObject({ status: 503 });
    expect(errors).toEqual([]);
    expect(await connection.request({ path: "/boom" }).answer).toMatchObject({ status: 500, body: "mine" });
    expect(errors).toEqual([boom]);
    app.get(
      "/added",
      handler((request) => sleep(request.scope, 60_000)),
    );
    addErrorHandler(app);
    expect(await connection.request({ path: "/added" }).answer).toMatchObject({ status: 503 });
    expect(errors).toEqual([boom]);
    expect(logged).not.toHaveBeenCalled();
  });

  it("runs no middleware twice that a request is in when the first other one arrives", async () => {
    const app = create();
    const go = deferred();
    const arrived = deferred();
    let calls = 0;
    addErrorHandler(app);
    app.use("/waits", (_request, _response, next) => {
      calls += 1;
      arrived.resolve();
      // oxlint-disable-next-line promise/no-callback-in-promise -- this is how it is done there
      void go.promise.then(() => next());
    });
    addErrorHandler(app);
    app.get("/waits", (_request, response) => void response.send("done"));
    app.get("/scope", expressBough(), (_request, response) => void response.send("scope"));
    const { connect } = await listen(app);
    const { answer } = connect().request({ path: "/waits" });
    await arrived.promise;
    await connect().request({ path: "/scope" }).answer;
    go.resolve();
    expect(await answer).toMatchObject({ status: 200, body: "done" });
    expect(calls).toBe(1);
  });

  it("rule 30: an error handler that fails because its client has disconnected is not an error", async () => {
    const app = makeApp();
    const arrived = deferred<Request>();
    app.get("/", () => {
      throw boom;
    });
    app.use((error: unknown, request: Request, _response: Response, next: NextFunction) => {
      errors.push(error);
      arrived.resolve(request);
      // oxlint-disable-next-line promise/no-callback-in-promise -- this is how it is done there
      sleep(request.scope, 60_000).catch(next);
    });
    const { connect } = await listen(app);
    const client = connect().request();
    const { scope } = await arrived.promise;
    const cancelled = new Promise((resolve) => scope.onCancel(resolve));
    client.abort();
    await cancelled;
    await flush();
    await flush(); // Express logs a turn later
    expect(errors).toEqual([boom]);
    expect(logged).not.toHaveBeenCalled();
  });

  it("rule 30: an error handler that fails for another reason is left to Express", async () => {
    const worse = new Error("worse");
    const app = makeApp();
    app.get("/", (request) => {
      request.scope.throwIfCancelled();
      throw boom;
    });
    app.use((error: unknown, _request: Request, _response: Response, _next: NextFunction) => {
      errors.push(error);
      throw worse;
    });
    const { connect } = await listen(app);
    expect(await connect().request().answer).toMatchObject({ status: 500, complete: true });
    expect(errors).toEqual([boom]);
    expect(errors[0]).toBe(boom);
    await flush();
    expect(logged).toHaveBeenCalledTimes(1);
    expect(String(logged.mock.calls[0]?.[0])).toContain("worse");
  });

  it("rule 30: answers 503 when the handler fails because its time is up", async () => {
    const app = makeApp({ timeout: 5 });
    app.get(
      "/",
      handler((request) => sleep(request.scope, 60_000)),
    );
    addErrorHandler(app);
    const { connect } = await listen(app);
    expect(await connect().request().answer).toMatchObject({ status: 503, body: "Service Unavailable\n" });
    expect(errors).toEqual([]);
  });

  it("rule 30: answers 503 for a handler that ignores its signal, and discards its late answer", async () => {
    const app = makeApp({ timeout: 5 });
    const late = deferred();
    app.get(
      "/",
      handler(async (_request, response) => {
        await late.promise;
        response.json({ late: true });
      }),
    );
    app.get("/next", (_request, response) => void response.send("next"));
    const { connect } = await listen(app);
    const connection = connect();
    expect(await connection.request().answer).toMatchObject({ status: 503 });
    late.resolve();
    await flush();
    expect(await connection.request({ path: "/next" }).answer).toMatchObject({ status: 200, body: "next" });
    expect(logged).not.toHaveBeenCalled();
  });

  it("rule 30: receives the late failure of a handler that ignores its signal, and keeps its connection", async () => {
    const app = makeApp();
    const late = deferred();
    const go = deferred();
    app.get(
      "/",
      expressBough({ timeout: 5 }),
      handler(async () => {
        await late.promise;
        throw boom;
      }),
    );
    const arrived = deferred();
    app.get("/next", (_request, response) => {
      arrived.resolve();
      void go.promise.then(() => response.send("next"));
    });
    app.use((error: unknown, request: Request, _response: Response, next: NextFunction) => {
      errors.push(error, request.ip);
      next(error);
    });
    const { connect } = await listen(app);
    const connection = connect();
    expect(await connection.request().answer).toMatchObject({ status: 503 });
    const { answer } = connection.request({ path: "/next" });
    await arrived.promise;
    late.resolve();
    await flush();
    await flush(); // Express logs a turn later
    go.resolve();
    expect(await answer).toMatchObject({ status: 200, body: "next", complete: true });
    expect(errors).toEqual([boom, "127.0.0.1"]);
    expect(logged).toHaveBeenCalledTimes(1);
  });

  it("rule 30: does not change an answer given for the handler when middleware delays its end", async () => {
    const app = makeApp({ timeout: 5 });
    const go = deferred();
    app.use((_request, response, next) => {
      const end = response.end.bind(response);
      response.end = (...args: unknown[]) => {
        response.writeHead(response.statusCode);
        void go.promise.then(() => Reflect.apply(end, response, args));
        return response;
      };
      next();
    });
    app.get(
      "/",
      handler(async (request, response) => {
        await sleep(request.scope, 60_000).catch(flush);
        await flush();
        response.set("x-late", "yes");
        setImmediate(go.resolve);
        request.scope.throwIfCancelled();
      }),
    );
    addErrorHandler(app);
    const { connect } = await listen(app);
    expect(await connect().request().answer).toMatchObject({ status: 503, body: "Service Unavailable\n" });
    expect(errors).toEqual([]);
    expect(logged).not.toHaveBeenCalled();
  });

  it("rule 30: accepts the late answer of a callback, whose error could not be caught", async () => {
    const app = makeApp({ timeout: 5 });
    const arrived = deferred<Response>();
    const failed = deferred<unknown>();
    app.get("/", (request, response, next) => {
      arrived.resolve(response);
      const sendFile = (): void =>
        response.sendFile(fileURLToPath(import.meta.url), (error) => {
          if ((error as { code?: string } | undefined)?.code !== "ECONNABORTED") next(error); // as Express does
          failed.resolve(error);
        });
      request.scope.onCancel(() => setImmediate(sendFile));
    });
    addErrorHandler(app);
    const { connect } = await listen(app);
    expect(await connect().request().answer).toMatchObject({ status: 503 });
    expect(await failed.promise).toBeInstanceOf(Error);
    const response = await arrived.promise;
    response.status(200).set("x-late", "yes").json({ late: true });
    response.redirect("/late");
    await flush();
    expect(errors).toEqual([]);
    expect(logged).not.toHaveBeenCalled();
  });

  it("rule 30: answers 504 when a call of the handler has exceeded its own timeout", async () => {
    const app = makeApp();
    app.get(
      "/",
      handler(async (request) => {
        await spawn(request.scope, (scope) => sleep(scope, 60_000), { timeout: 5 });
      }),
    );
    addErrorHandler(app);
    const { connect } = await listen(app);
    expect(await connect().request().answer).toMatchObject({ status: 504 });
    expect(errors).toEqual([]);
  });

  it("rule 30: cuts off a response that has begun when the handler fails because its time is up", async () => {
    const app = makeApp({ timeout: 5 });
    app.get(
      "/",
      handler(async (request, response) => {
        response.write("part");
        await sleep(request.scope, 60_000);
      }),
    );
    addErrorHandler(app);
    const { connect } = await listen(app);
    expect(await connect().request().answer).toMatchObject({ status: 200, body: "part", complete: false });
    expect(errors).toEqual([]);
  });

  it("rule 30: every other failure goes to the app's error handler, unchanged", async () => {
    const app = makeApp();
    app.get(
      "/before",
      handler(async (request) => {
        void request.scope;
        throw boom;
      }),
    );
    app.get(
      "/cancel",
      handler(async (request) => {
        request.scope.cancel("enough");
        request.scope.throwIfCancelled();
      }),
    );
    app.get(
      "/gone",
      handler(async (request) => {
        void request.scope;
        request.socket.destroy();
        await once(request.socket, "close");
        throw boom;
      }),
    );
    addErrorHandler(app);
    const { connect } = await listen(app);
    expect(await connect().request({ path: "/before" }).answer).toMatchObject({ status: 500, body: "mine" });
    expect(await connect().request({ path: "/cancel" }).answer).toMatchObject({ status: 500, body: "mine" });
    expect(await connect().request({ path: "/gone" }).answer).toBeUndefined();
    await flush();
    expect(errors).toHaveLength(3);
    expect(errors[0]).toBe(boom);
    expect((errors[1] as CancelledError).kind).toBe("explicit");
    expect(errors[2]).toBe(boom);
  });

  it("rule 30: Express handles a handler that fails after it has begun to answer", async () => {
    const app = makeApp();
    const seen = deferred<Scope>();
    app.get(
      "/",
      handler(async (request, response) => {
        seen.resolve(request.scope);
        response.write("part");
        await flush();
        throw boom;
      }),
    );
    addErrorHandler(app);
    const { connect } = await listen(app);
    expect(await connect().request().answer).toMatchObject({ status: 200, body: "part", complete: false });
    expect(errors).toEqual([boom]);
    expect(errors[0]).toBe(boom);
    const scope = await seen.promise;
    await expect.poll(() => scope.state).toBe("closed");
    expect(scope.reason?.kind).toBe("disconnected"); // Express has destroyed the connection
  });

  it("rule 11: a task's failure is reported if the handler does not receive it, and not reported again if it does", async () => {
    const reported: unknown[] = [];
    const app = makeApp({ onError: (error) => reported.push(error) });
    app.get(
      "/awaited",
      handler(async (request) => {
        await spawn(request.scope, async () => {
          await flush();
          throw boom;
        });
      }),
    );
    app.get(
      "/through-the-scope",
      handler(async (request) => {
        void spawn(request.scope, async () => {
          await flush();
          throw boom;
        });
        await sleep(request.scope, 60_000);
      }),
    );
    const lost = new Error("lost");
    app.get(
      "/lost",
      handler(async (request, response) => {
        void spawn(request.scope, () => {
          throw lost;
        });
        response.send("ok");
      }),
    );
    addErrorHandler(app);
    const { connect } = await listen(app);
    for (const path of ["/awaited", "/through-the-scope", "/lost"]) await connect().request({ path }).answer;
    await flush();
    await flush();
    expect(errors[0]).toBe(boom);
    expect(errors[1]).toMatchObject({ kind: "failure", cause: boom });
    expect(reported).toEqual([lost]);
  });

  it("has a separate timeout if it is mounted on a route", async () => {
    const app = makeApp();
    app.get("/slow", (_request, response) => void setTimeout(() => response.send("slow"), 30));
    app.get("/fast", expressBough({ timeout: 1 }), () => undefined);
    const { connect } = await listen(app);
    expect(await connect().request({ path: "/fast" }).answer).toMatchObject({ status: 503 });
    expect(await connect().request({ path: "/slow" }).answer).toMatchObject({ status: 200 });
  });

  it("rule 34: a header limits the request when the option is on, from the first request", async () => {
    const app = makeApp({ deadlineHeader: true });
    app.get("/", () => undefined);
    const { connect } = await listen(app);
    for (let round = 0; round < 2; round++) {
      const headers = { "x-request-timeout-ms": "5" };
      expect(await connect().request({ headers }).answer).toMatchObject({ status: 504 });
    }
  });

  it.each([
    { timeout: -1 },
    { grace: Number.NaN },
    { deadlineHeader: "a b" },
    { deadlineHeader: 1 },
    { parent: "app" },
    { parent: new AbortController().signal },
    null,
  ])("throws on bad options: %o", (options) => {
    expect(() => expressBough(options as never)).toThrow(/^expressBough: \w+ must be/);
  });
});
