import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once, type EventEmitter } from "node:events";
import http from "node:http";
import type { Socket } from "node:net";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import {
  createScope,
  sleep,
  spawn,
  withScope,
  type CancelledError,
  type Scope,
  type StuckTasksError,
} from "../index.js";
import { fakeSweeps } from "../../test/support/fake-sweeps.js";
import { deferred, flush, rejection } from "../../test/support/deferred.js";
import { RawConnection } from "../../test/support/http-clients.js";
import { serve } from "../../test/support/http-server.js";
import { serverStateOf } from "./server-scope.js";
import { outgoingHeaders, requestScope, serverScope } from "./index.js";

const boom = new Error("boom");

/** A message of a diagnostics channel. */
interface Told {
  readonly scope: Scope;
  readonly status?: string;
}

describe("serverScope()", () => {
  it("is one per server, and another one when the server listens again", async () => {
    const server = http.createServer();
    const scope = serverScope(server, { name: "api" });
    expect(serverScope(server)).toBe(scope);
    expect(scope.path).toBe("api");
    for (let round = 0; round < 2; round++) {
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      expect(serverScope(server).state).toBe("open");
      await serverScope(server).shutdown();
      expect(serverScope(server)).not.toBe(scope);
    }
    expect(scope.state).toBe("closed");
  });

  it("keeps the options that were given first, and refuses another parent", () => {
    const parent = createScope();
    const server = http.createServer();
    serverScope(server, { parent });
    expect(serverScope(server, { grace: 5 })).toBe(serverScope(server));
    expect(serverScope(server, { parent })).toBe(serverScope(server));
    const other = createScope();
    expect(() => serverScope(server, { parent: other })).toThrow(
      expect.objectContaining({ code: "BOUGH_SERVER_SCOPE" }),
    );
    void parent.close();
    void other.close();
  });

  it.each([undefined, null, {}, "server"])("throws for a value that is not a server: %s", (server) => {
    expect(() => serverScope(server as never)).toThrow(/^serverScope: server must be an HTTP server/);
  });

  it.each([{ grace: -1 }, { timeout: Number.NaN }, { deadlineHeader: "a b" }, { onError: 1 }, { name: 1 }])(
    "throws on bad options, and attaches nothing: %o",
    (options) => {
      const server = http.createServer();
      expect(() => serverScope(server, options as never)).toThrow(/^serverScope: \w+ must be/);
      expect(server.listenerCount("request")).toBe(0);
    },
  );

  it("rule 29: a task in it outlives the request", async () => {
    const job = deferred<string>();
    const go = deferred();
    const bench = await serve("http/1.1", (_request, response) => {
      spawn(serverScope(bench.server), async () => {
        await go.promise;
        job.resolve("done");
      });
      response.end("accepted");
    });
    expect((await (await bench.request()).answer)?.body).toBe("accepted");
    go.resolve();
    expect(await job.promise).toBe("done");
  });

  it("a failing request does not affect the others, and a failure without a receiver goes to onError", async () => {
    const reported: unknown[] = [];
    const scopes: Scope[] = [];
    const bench = await serve("http/1.1", (request, response) => {
      const scope = requestScope(request, response);
      scopes.push(scope);
      if (request.url === "/fails") {
        spawn(scope, () => {
          throw boom;
        });
      } else void sleep(scope, 5).then(() => response.end("fine"));
      if (request.url === "/fails") response.end("failed");
    });
    serverScope(bench.server, { onError: (error) => reported.push(error) });
    const [fine, fails] = [await bench.request(), await bench.request({ path: "/fails" })];
    expect((await fails.answer)?.body).toBe("failed");
    expect((await fine.answer)?.body).toBe("fine");
    await flush();
    expect(reported).toEqual([boom]);
    expect(serverScope(bench.server).cancelled).toBe(false);
  });

  it("rule 32: the cancellation of its parent shuts the server down, and the parent waits for that", async () => {
    const arrived = deferred<CancelledError>();
    let server!: http.Server;
    const log: string[] = [];
    const cancelled = await rejection(
      withScope({ name: "app" }, async (scope) => {
        const bench = await serve("http/1.1", (request, response) => {
          requestScope(request, response).onCancel((reason) => {
            arrived.resolve(reason);
            void Promise.resolve().then(() => response.writeHead(503).end());
          });
          scope.cancel("SIGTERM");
        });
        server = bench.server as http.Server;
        server.on("close", () => log.push("server closed"));
        serverScope(server, { parent: scope });
        const client = await bench.request();
        expect(await client.answer).toMatchObject({ status: 503 });
        log.push("answered");
        await sleep(scope, 0);
      }),
    );
    expect((await arrived.promise).cause).toBe("SIGTERM");
    expect(cancelled).toBe(await arrived.promise);
    expect(server.listening).toBe(false);
    expect(log).toContain("answered");
  });

  it("ends when the server is closed by other code", async () => {
    const bench = await serve("http/1.1", (_request, response) => response.end());
    const scope = serverScope(bench.server);
    bench.server.close();
    await once(bench.server, "close");
    await scope.close();
    expect(scope.reason?.kind).toBe("shutdown");
  });

  it("rule 28: a timeout of the server applies to handlers that never read their scope", async () => {
    const bench = await serve("http/1.1", () => undefined);
    serverScope(bench.server, { timeout: 5 });
    expect(await (await bench.request()).answer).toMatchObject({ status: 503 });
  });
});

describe("ServerScope.shutdown()", () => {
  it("waits for tasks of the server's scope, and stops daemons when all other work has ended", async () => {
    const bench = await serve("http/1.1", () => undefined);
    const scope = serverScope(bench.server);
    const go = deferred();
    const job = spawn(scope, () => go.promise.then(() => "done"));
    const daemon = spawn(scope, (inner) => sleep(inner, 60_000), { daemon: true });
    const report = scope.shutdown();
    go.resolve();
    expect(await job).toBe("done");
    await expect(daemon).rejects.toMatchObject({ kind: "closed" });
    expect(await report).toMatchObject({ running: 0, cancelled: 0, stuck: [] });
    expect(await scope.shutdown()).toBe(await report);
  });

  it("names the tasks that are stuck, and settles regardless", async () => {
    const bench = await serve("http/1.1", () => undefined);
    const scope = serverScope(bench.server);
    spawn(scope, function deaf() {
      return new Promise(() => undefined);
    });
    const { stuck, cancelled } = await scope.shutdown({ grace: 0 });
    expect(cancelled).toBe(1);
    expect(stuck).toMatchObject([{ path: "server/deaf", status: "running" }]);
  });

  it("names handlers, scopes and cleanups that are stuck, each with the part that has not ended", async () => {
    const gate = deferred();
    const bench = await serve("http/1.1", (request, response) => {
      const scope = requestScope(request, response);
      if (request.url === "/deaf") return;
      if (request.url === "/import")
        void withScope(scope, { name: "rows" }, () => gate.promise).catch(() => undefined);
      if (request.url === "/cleanup")
        scope.defer(async function flushLog() {
          await gate.promise;
        });
      response.end("done");
    });
    const scope = serverScope(bench.server);
    scope.defer(function closePool() {
      return gate.promise;
    });
    void (await bench.request({ path: "/deaf" })).answer.catch(() => undefined);
    await (
      await bench.request({ path: "/import" })
    ).answer;
    await (
      await bench.request({ path: "/cleanup" })
    ).answer;
    await expect.poll(() => serverStateOf(bench.server)?.node.first?.next?.next).toBeDefined();
    const { stuck } = await scope.shutdown({ grace: 0 });
    expect(stuck.map(({ path, waitingFor, cleanup }) => [path, waitingFor, cleanup])).toEqual([
      ["server/GET /deaf", "response", undefined],
      ["server/GET /import/rows", "body", undefined],
      ["server/GET /cleanup", "cleanup", "flushLog"],
    ]);
    gate.resolve();
  });

  it("waits at a shutdown for a cleanup of the server's own scope, and names it when it is stuck", async () => {
    const gate = deferred();
    const bench = await serve("http/1.1", () => undefined);
    const scope = serverScope(bench.server);
    scope.defer(function closePool() {
      return gate.promise;
    });
    spawn(scope, (task) => sleep(task, 60_000), { name: "job" });
    const { stuck } = await scope.shutdown({ grace: 0 });
    expect(stuck).toMatchObject([{ path: "server", waitingFor: "cleanup", cleanup: "closePool" }]);
    gate.resolve();
  });

  it("is named in the stuck report of an ancestor while a handler has not answered", async () => {
    const parent = createScope({ name: "app" });
    const bench = await serve("http/1.1", (request, response) => void requestScope(request, response));
    serverScope(bench.server, { parent });
    const { answer } = await bench.request({ path: "/deaf" });
    await expect.poll(() => serverStateOf(bench.server)?.node.first).toBeDefined();
    const error = (await rejection(parent.close({ grace: 0 }))) as StuckTasksError;
    expect(error.tasks).toMatchObject([{ path: "app/server/GET /deaf", waitingFor: "response" }]);
    expect(error.message).toContain("app/server/GET /deaf (its handler has not answered, ");
    expect((await answer)?.status).toBe(503);
    await parent.close();
  });

  it("does not wait for connections that never sent a request", async () => {
    const bench = await serve("http/1.1", () => undefined);
    const scope = serverScope(bench.server);
    const silent = new RawConnection(bench.port);
    onTestFinished(() => void silent.socket.destroy());
    await once(silent.socket, "connect");
    expect(await scope.shutdown({ grace: 60_000 })).toMatchObject({ running: 0, stuck: [] });
  });

  it("waits for a request that the server has not seen, because its client expects an answer", async () => {
    const arrived = deferred<http.ServerResponse>();
    const bench = await serve("http/1.1", () => undefined);
    const scope = serverScope(bench.server);
    bench.server.on("checkContinue", (_request, response: http.ServerResponse) => arrived.resolve(response));
    const connection = new RawConnection(bench.port);
    onTestFinished(() => void connection.socket.destroy());
    const { answer } = connection.request({ method: "POST", headers: { expect: "100-continue" }, length: 5 });
    const response = await arrived.promise;
    onTestFinished(fakeSweeps());
    const report = scope.shutdown({ grace: 60_000 });
    vi.advanceTimersByTime(1_000); // silence would mean by now that nothing comes
    await flush();
    response.end("done");
    expect(await answer).toMatchObject({ status: 200, body: "done", complete: true });
    expect((await report).stuck).toEqual([]);
  });

  it("answers each of the pipelined requests it has accepted", async () => {
    const go = deferred();
    const bench = await serve(
      "http/1.1",
      (request, response) => void go.promise.then(() => response.end(request.url)),
    );
    const scope = serverScope(bench.server);
    const connection = new RawConnection(bench.port);
    onTestFinished(() => void connection.socket.destroy());
    const exchanges = ["/1", "/2", "/3"].map((path) => connection.request({ path }));
    await once(bench.server, "request");
    const report = scope.shutdown({ grace: 5_000 });
    go.resolve();
    const answers = await Promise.all(exchanges.map(({ answer }) => answer));
    expect(answers.map((answer) => answer?.body)).toEqual(["/1", "/2", "/3"]);
    expect((await report).stuck).toEqual([]);
  });

  it("answers a pipelined request though the request in front of it is stuck", async () => {
    const bench = await serve("http/1.1", (request, response) => {
      if (request.url === "/2") response.end("second");
    });
    const scope = serverScope(bench.server);
    const connection = new RawConnection(bench.port);
    onTestFinished(() => void connection.socket.destroy());
    const [first, second] = ["/1", "/2"].map((path) => connection.request({ path }));
    await once(bench.server, "request");
    const { stuck } = await scope.shutdown({ grace: 0 });
    expect(await first?.answer).toMatchObject({ status: 503, complete: true });
    expect(await second?.answer).toMatchObject({ status: 200, body: "second", complete: true });
    expect(stuck.map(({ path }) => path)).toEqual(["server/GET /1"]);
  });

  it("closes a connection that is kept alive and idle, and answers on a half-closed connection", async () => {
    const arrived = deferred<http.ServerResponse>();
    const bench = await serve("http/1.1", (request, response) => {
      if (request.url === "/idle") return void response.end();
      requestScope(request, response);
      arrived.resolve(response);
    });
    (bench.server as http.Server & { httpAllowHalfOpen: boolean }).httpAllowHalfOpen = true;
    const scope = serverScope(bench.server);
    const [idle, half] = [new RawConnection(bench.port), new RawConnection(bench.port)];
    onTestFinished(() => {
      for (const { socket } of [idle, half]) socket.destroy();
    });
    await idle.request({ path: "/idle" }).answer;
    half.socket.allowHalfOpen = true;
    const { answer } = half.request();
    const response = await arrived.promise;
    response.req.resume();
    half.socket.end();
    await once(response.req.socket, "end");
    const report = scope.shutdown({ grace: 60_000 });
    await once(idle.socket, "close");
    response.end("still there");
    expect(await answer).toMatchObject({ status: 200, body: "still there", complete: true });
    expect(await report).toMatchObject({ running: 1, cancelled: 0, stuck: [] });
  });

  it("cancels a half-closed request when the grace period is over", async () => {
    const arrived = deferred<[Scope, http.ServerResponse]>();
    const bench = await serve("http/1.1", (request, response) => {
      const own = requestScope(request, response);
      own.onCancel(() => void Promise.resolve().then(() => response.writeHead(503).end("sorry")));
      arrived.resolve([own, response]);
    });
    (bench.server as http.Server & { httpAllowHalfOpen: boolean }).httpAllowHalfOpen = true;
    const half = new RawConnection(bench.port);
    onTestFinished(() => void half.socket.destroy());
    half.socket.allowHalfOpen = true;
    const { answer } = half.request();
    const [own, response] = await arrived.promise;
    response.req.resume();
    half.socket.end();
    await once(response.req.socket, "end");
    expect(await serverScope(bench.server).shutdown({ grace: 1 })).toMatchObject({ cancelled: 1, stuck: [] });
    expect(await answer).toMatchObject({ status: 503, body: "sorry", complete: true });
    expect(own.reason?.kind).toBe("shutdown");
  });

  it.each([{ grace: -1 }, { grace: "1" }, 5])("rejects bad options: %o", async (options) => {
    const server = http.createServer();
    await expect(serverScope(server).shutdown(options as never)).rejects.toThrow(/^shutdown: /);
    expect(serverScope(server).state).toBe("open");
  });

  it("rule 32: under load, every request gets a complete answer or a refused connection", async () => {
    const bench = await serve("http/1.1", async (request, response) => {
      const scope = requestScope(request, response);
      const text = await spawn(scope, async (inner) => {
        await sleep(inner, Math.random() * 10);
        return "x".repeat(10_000);
      });
      response.end(text);
    });
    const agent = new http.Agent({ keepAlive: true });
    onTestFinished(() => agent.destroy());
    let stop = false;
    let complete = 0;
    const bad: unknown[] = [];
    const half = deferred();
    const client = async (): Promise<void> => {
      while (!stop) {
        try {
          const body = await get(bench.port, agent);
          if (body.length === 10_000) complete += 1;
          else bad.push(body.length);
          if (complete === 200) half.resolve();
        } catch (error) {
          // Connections that were never accepted may be refused.
          if ((error as { code?: string }).code !== "ECONNREFUSED") bad.push(error);
          return;
        }
      }
    };
    const clients = Promise.all(Array.from({ length: 20 }, client));
    await half.promise;
    const report = await serverScope(bench.server).shutdown({ grace: 5_000 });
    stop = true;
    await clients;
    expect(bad).toEqual([]);
    expect(report).toMatchObject({ cancelled: 0, stuck: [] });
    expect(complete).toBeGreaterThanOrEqual(200);
  });
});

describe("requestScope() after an upgrade", () => {
  it("lives as long as the socket", async () => {
    const bench = await serve("http/1.1", () => undefined);
    const upgraded = deferred<Scope>();
    bench.server.on("upgrade", (request, socket) => {
      socket.on("error", () => undefined);
      // A socket of a server's half-closes, and sees that its client is gone only while it is read.
      socket.on("end", () => socket.destroy());
      socket.resume();
      upgraded.resolve(requestScope(request, socket));
      socket.write("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n");
    });
    const client = await bench.request({ headers: { connection: "upgrade", upgrade: "x" } });
    expect((await client.answer)?.status).toBe(101);
    const scope = await upgraded.promise;
    await flush();
    expect(scope).toMatchObject({ state: "open", path: "server/GET /" });
    const reason = new Promise<CancelledError>((resolve) => scope.onCancel(resolve));
    client.abort();
    expect((await reason).kind).toBe("disconnected");
  });
});

describe("requestScope()", () => {
  it.each([
    { name: "the only one on its connection", before: [], allowed: false },
    { name: "the only one on its connection", before: [], allowed: true },
    { name: "on a connection that was kept alive", before: ["/warm-up"], allowed: false },
    { name: "on a connection that was kept alive", before: ["/warm-up"], allowed: true },
    { name: "pipelined", before: ["/first"], allowed: false },
    { name: "pipelined", before: ["/first"], allowed: true },
  ])(
    "rule 28: treats a half-closing client as gone, unless the server allows for it: $name, $allowed",
    async ({ before, allowed }) => {
      const seen = deferred<[Scope, http.ServerResponse]>();
      const bench = await serve("http/1.1", (request, response) => {
        seen.resolve([requestScope(request, response), response]);
      });
      (bench.server as http.Server & { httpAllowHalfOpen: boolean }).httpAllowHalfOpen = allowed;
      const connection = new RawConnection(bench.port);
      onTestFinished(() => void connection.socket.destroy());
      connection.socket.allowHalfOpen = true;
      for (const path of before) {
        const earlier = connection.request({ path });
        if (path === "/warm-up") await earlier.answer;
      }
      const { answer } = connection.request();
      const [scope, response] = await seen.promise;
      const { socket } = response.req;
      response.req.resume();
      const closed = once(socket, "close");
      const ended = once(socket, "end");
      connection.socket.end();
      if (allowed) {
        await ended;
        bench.release();
        response.end("still there");
      }
      await closed;
      await flush();
      expect((await answer)?.body).toBe(allowed ? "still there" : undefined);
      expect(scope.reason?.kind).toBe(allowed ? undefined : "disconnected");
      expect(scope.state).toBe("closed");
    },
  );

  it("adds one listener to the response, which ignores a second close, and none to the request", async () => {
    const seen = deferred<http.ServerResponse>();
    const count = (emitter: EventEmitter): number =>
      emitter.eventNames().reduce((sum, name) => sum + emitter.listenerCount(name), 0);
    const added: number[] = [];
    let scope: Scope | undefined;
    const bench = await serve("http/1.1", (request, response) => {
      const [before, beforeIt] = [count(request), count(response)];
      scope = requestScope(request, response, { timeout: 60_000 });
      added.push(count(request) - before, count(response) - beforeIt);
      seen.resolve(response);
      response.end();
    });
    await (
      await bench.request()
    ).answer;
    const response = await seen.promise;
    await flush();
    expect(added).toEqual([0, 1]);
    expect(scope?.state).toBe("closed");
    response.emit("close");
    expect(scope?.cancelled).toBe(false);
  });
});

describe("a server's scope", () => {
  it("leaves no listener, timer or record behind on a connection that many requests have come through", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const sockets = new Set<Socket>();
    const bench = await serve("http/1.1", async (request, response) => {
      sockets.add(request.socket);
      const scope = requestScope(request, response, { timeout: 60_000 });
      void scope.signal;
      response.end(await spawn(scope, async () => "done"));
    });
    serverScope(bench.server, { timeout: 50_000 });
    const connection = new RawConnection(bench.port);
    onTestFinished(() => void connection.socket.destroy());
    const counts: unknown[] = [];
    for (let round = 0; round < 3; round++) {
      await Promise.all(Array.from({ length: 10 }, () => connection.request().answer));
      await flush();
      const listeners = [bench.server, ...sockets].map((emitter) =>
        emitter.eventNames().map((name) => [name, emitter.listenerCount(name)]),
      );
      counts.push({ listeners, timers: vi.getTimerCount() });
      expect(serverStateOf(bench.server).records).toEqual([]);
      expect(serverStateOf(bench.server).openRequests()).toEqual([]);
    }
    expect(sockets.size).toBe(1);
    expect(counts[0]).toMatchObject({ timers: 0 });
    expect(counts[1]).toEqual(counts[0]);
    expect(counts[2]).toEqual(counts[0]);
  });
});

describe("rule 27: the diagnostics channels", () => {
  it("report a server, its requests that have a scope, and the stuck work at its shutdown", async () => {
    const log: string[] = [];
    for (const name of ["scope:open", "scope:close", "scope:cancel", "stuck"]) {
      const listener = (message: unknown): void => {
        const { path } = (message as Told).scope;
        const { status } = message as Told;
        // Servers of other tests end meanwhile.
        if (path.startsWith("api")) log.push(`${name} ${path}${status === undefined ? "" : `: ${status}`}`);
      };
      subscribe(`bough:${name}`, listener);
      onTestFinished(() => void unsubscribe(`bough:${name}`, listener));
    }
    const bench = await serve("http/1.1", (request, response) => {
      if (request.url === "/plain") return response.end("plain");
      requestScope(request, response);
      return request.url === "/used" ? response.end("used") : undefined;
    });
    const scope = serverScope(bench.server, { name: "api", grace: 0 });
    for (const path of ["/plain", "/used"]) await (await bench.request({ path })).answer;
    const gone = await bench.request({ path: "/gone" });
    await expect.poll(() => log).toContain("scope:open api/GET /gone");
    gone.abort();
    await expect.poll(() => log).toContain("scope:close api/GET /gone: cancelled");
    const { answer } = await bench.request({ path: "/stuck" });
    await expect.poll(() => log).toContain("scope:open api/GET /stuck");
    await scope.shutdown();
    expect((await answer)?.status).toBe(503);
    expect(log).toEqual([
      "scope:open api",
      "scope:open api/GET /used",
      "scope:close api/GET /used: succeeded",
      "scope:open api/GET /gone",
      "scope:cancel api/GET /gone",
      "scope:close api/GET /gone: cancelled",
      "scope:open api/GET /stuck",
      "scope:cancel api",
      "stuck api",
      "scope:close api/GET /stuck: cancelled",
      "scope:close api: succeeded",
    ]);
  });
});

describe("join() of a server's scope", () => {
  it.each([
    { path: "/broken", isCut: true },
    { path: "/stuck", isCut: false },
  ])("rule 2: rejects with the reason when a response was cut off: $path", async ({ path, isCut }) => {
    const arrived = deferred();
    const bench = await serve("http/1.1", (request, response) => {
      requestScope(request, response);
      if (request.url === "/broken") response.write("begun");
      arrived.resolve();
    });
    const scope = serverScope(bench.server, { grace: 0 });
    const { answer } = await bench.request({ path });
    await arrived.promise;
    const joined = Promise.allSettled([scope.join()]);
    expect((await scope.shutdown()).stuck.length).toBe(1);
    expect((await answer)?.complete === true).toBe(!isCut);
    const [outcome] = await joined;
    expect(outcome).toEqual(isCut ? { status: "rejected", reason: scope.reason } : { status: "fulfilled" });
    expect(scope.reason?.kind).toBe("shutdown");
  });
});

describe("the data about a connection", () => {
  it("does not grow while requests are pipelined without end", async () => {
    let before: http.ServerResponse | undefined;
    const bench = await serve("http/1.1", (_request, response) => {
      before?.end(); // so there is always one that is not answered
      before = response;
    });
    serverScope(bench.server);
    const connection = new RawConnection(bench.port);
    let { answer } = connection.request();
    for (let round = 0; round < 20; round++) {
      const { answer: next } = connection.request();
      await answer;
      answer = next;
    }
    let known = 0;
    let [at] = serverStateOf(bench.server).openRequests();
    for (; at !== undefined; at = at.earlier) known += 1;
    expect(known).toBe(2); // the last, and the one that was answered when it came
    before?.end();
    expect((await answer)?.status).toBe(200);
  });
});

describe("a server's scope that ends before its server", () => {
  it("leaves its connections to the next scope of the server", async () => {
    const [arrived, gate] = [deferred(), deferred()];
    const bench = await serve("http/1.1", async ({ url }, response) => {
      if (url === "/waits") {
        arrived.resolve();
        await gate.promise;
      }
      response.end("answered");
    });
    const first = serverScope(bench.server);
    serverStateOf(bench.server).connectionPolicy = "leave";
    const connection = new RawConnection(bench.port);
    await connection.request().answer;
    await first.shutdown();
    expect(serverScope(bench.server)).not.toBe(first);
    const { answer } = connection.request({ path: "/waits" });
    await arrived.promise;
    expect(serverStateOf(bench.server).openRequests().length).toBe(1);
    gate.resolve();
    expect((await answer)?.body).toBe("answered");
  });

  it("counts the requests that come when it was cancelled, until they are answered", async () => {
    const held = deferred();
    const seen = deferred<{ scope: Scope; records: number }>();
    const bench = await serve("http/1.1", (request, response) => {
      const scope = requestScope(request, response);
      seen.resolve({ scope, records: serverStateOf(bench.server).records.length });
      response.end();
    });
    const scope = serverScope(bench.server);
    const state = serverStateOf(bench.server);
    state.connectionPolicy = "leave";
    spawn(scope, () => held.promise);
    scope.cancel();
    await (
      await bench.request()
    ).answer;
    const { scope: late, records } = await seen.promise;
    expect(late.reason).toBe(scope.reason);
    expect(records).toBe(1);
    await flush();
    expect(state.records).toEqual([]);
    held.resolve();
    await scope.close();
  });
});

describe("outgoingHeaders()", () => {
  it("rule 34: says how much time is left, under the name that the server has for it", async () => {
    const headers = deferred<Record<string, string>>();
    const bench = await serve("http/1.1", (request, response) => {
      headers.resolve(outgoingHeaders(requestScope(request, response)));
      response.end();
    });
    serverScope(bench.server, { deadlineHeader: "X-Left" });
    await (
      await bench.request({ headers: { "x-left": "5000" } })
    ).answer;
    const left = Number((await headers.promise)["x-left"]);
    expect(left).toBeGreaterThan(3_000);
    expect(left).toBeLessThanOrEqual(5_000);
  });

  it("is empty without a deadline, and 0 when it has passed", async () => {
    const free = createScope();
    const late = createScope({ timeout: 0 });
    expect(outgoingHeaders(free)).toEqual({});
    expect(outgoingHeaders(late)).toEqual({ "x-request-timeout-ms": "0" });
    expect(() => outgoingHeaders({} as never)).toThrow(/^outgoingHeaders: scope must be a Scope/);
    await free.close();
  });

  it.each(["-1", "1.5", "1e3", "", "abc", "99999999999", "5, 5", "86400001"])(
    "rule 34: an incoming %j is ignored",
    async (value) => {
      const scope = deferred<Scope>();
      const bench = await serve("http/1.1", (request, response) => {
        scope.resolve(requestScope(request, response));
        response.end();
      });
      serverScope(bench.server, { deadlineHeader: true });
      await (
        await bench.request({ headers: { "x-request-timeout-ms": value } })
      ).answer;
      expect((await scope.promise).deadline).toBeUndefined();
    },
  );
});

function get(port: number, agent: http.Agent): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = http.get({ port, host: "127.0.0.1", agent }, (response) => {
      let text = "";
      response.setEncoding("latin1");
      response.on("data", (chunk: string) => (text += chunk));
      response.on("end", () => resolve(text));
      response.on("error", reject);
    });
    request.on("error", reject);
  });
}
