import { EventEmitter, once } from "node:events";
import http from "node:http";
import type { AddressInfo, Server } from "node:net";
import express from "express";
import Fastify from "fastify";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { expressBough } from "../express/index.js";
import { fastifyBough } from "../fastify/index.js";
import { createChannel, createScope, createSemaphore, sleep, spawn } from "../index.js";
import { events, toReadableStream } from "../streams/index.js";
import { deferred, flush } from "../../test/support/deferred.js";
import { serve } from "../../test/support/http-server.js";
import { serverScope } from "./index.js";

const boom = new Error("boom");
const portOf = (server: Server): number => (server.address() as AddressInfo).port;

async function listening(server: Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    (server as http.Server).closeAllConnections?.();
    server.close();
  });
  return `http://127.0.0.1:${portOf(server)}`;
}

describe("ServerScope.onShutdown()", () => {
  it("rule 32: calls back first, when the server still listens and nothing is cancelled", async () => {
    const server = http.createServer();
    await listening(server);
    const scope = serverScope(server);
    const seen: unknown[] = [];
    expect(scope.draining).toBe(false);
    scope.onShutdown((own) => seen.push("first", scope.draining, server.listening, scope.state, own.path));
    scope.onShutdown(() => seen.push("second"));
    const stop = scope.onShutdown(() => seen.push("never"));
    expect(stop()).toBe(true);
    expect(stop()).toBe(false);
    const report = scope.shutdown();
    expect(seen).toEqual(["first", true, true, "open", "server/onShutdown", "second"]);
    await report;
    expect(seen.length).toBe(6);
    expect(scope.draining).toBe(true);
  });

  it("calls back at once when the shutdown has begun, also when it is over", async () => {
    const server = http.createServer();
    await listening(server);
    const scope = serverScope(server);
    const report = scope.shutdown();
    const seen: string[] = [];
    expect(scope.onShutdown(() => seen.push("late"))()).toBe(false);
    expect(seen).toEqual(["late"]);
    await report;
    scope.onShutdown(() => seen.push("too late"));
    expect(seen).toEqual(["late", "too late"]);
  });

  it("calls back when the scope is cancelled without a shutdown, and when it is closed", async () => {
    for (const end of ["cancel", "close"] as const) {
      const server = http.createServer();
      await listening(server);
      const scope = serverScope(server);
      const callback = vi.fn<() => void>();
      scope.onShutdown(callback);
      void scope[end]();
      expect(callback).toHaveBeenCalledTimes(1);
      await scope.close();
    }
  });

  it("rule 32: an asynchronous callback is awaited within the grace period, and cancelled after", async () => {
    const server = http.createServer();
    await listening(server);
    const scope = serverScope(server);
    const go = deferred();
    let done = false;
    scope.onShutdown(async function goodbye() {
      await go.promise;
      done = true;
    });
    const report = scope.shutdown();
    await flush();
    go.resolve();
    expect(await report).toMatchObject({ cancelled: 0, stuck: [] });
    expect(done).toBe(true);

    const other = http.createServer();
    await listening(other);
    serverScope(other).onShutdown(function goodbye(own) {
      return sleep(own, 60_000);
    });
    expect(await serverScope(other).shutdown({ grace: 5 })).toMatchObject({ cancelled: 1, stuck: [] });
  });

  it("rule 11: an error that a callback throws is a failure, and the other callbacks are called", async () => {
    const failures: unknown[] = [];
    const server = http.createServer();
    await listening(server);
    const scope = serverScope(server, { onError: (error, task) => failures.push(error, task.path) });
    const called = vi.fn<() => void>();
    scope.onShutdown(function first() {
      throw boom;
    });
    scope.onShutdown(async function second() {
      throw boom;
    });
    scope.onShutdown(called);
    await scope.shutdown();
    expect(called).toHaveBeenCalledTimes(1);
    expect(failures).toEqual([boom, "server/first", boom, "server/second"]);
    const late = new Error("late");
    scope.onShutdown(() => {
      throw late;
    });
    expect(failures.slice(4)).toEqual([late, "server"]);
  });

  it.each([undefined, null, "x", {}])("throws for a value that is not a function: %s", (callback) => {
    expect(() => serverScope(http.createServer()).onShutdown(callback as never)).toThrow(
      /^onShutdown: callback must be a function, got /,
    );
  });

  it("a callback may itself ask for the shutdown", async () => {
    const server = http.createServer();
    await listening(server);
    const scope = serverScope(server);
    let inner: unknown;
    scope.onShutdown(() => void (inner = scope.shutdown()));
    const report = scope.shutdown();
    expect(await inner).toBe(await report);
  });
});

describe("ServerScope.drainSignal", () => {
  it("aborts when the shutdown begins, while the scope is open", async () => {
    const server = http.createServer();
    await listening(server);
    const scope = serverScope(server);
    const { drainSignal } = scope;
    expect(scope.drainSignal).toBe(drainSignal);
    const aborted = once(drainSignal, "abort");
    const report = scope.shutdown();
    await aborted;
    expect(drainSignal.reason).toMatchObject({ kind: "shutdown", scope: "server" });
    expect(scope.cancelled).toBe(false);
    await report;
    const late = http.createServer();
    void serverScope(late).shutdown();
    expect(serverScope(late).drainSignal.aborted).toBe(true);
  });

  it("rule 32: a consumer takes no new job once it has aborted; those that have begun are finished", async () => {
    const server = http.createServer();
    await listening(server);
    const scope = serverScope(server);
    const permits = createSemaphore(2);
    let [begun, finished, begunAfter] = [0, 0, 0];
    const go = deferred();
    spawn(
      scope,
      async function consumer(own) {
        while (!scope.draining) {
          const permit = await permits.acquire(own);
          if (scope.draining) return permit[Symbol.dispose]();
          begun += 1;
          spawn(scope, async function job(task) {
            task.use(permit);
            await go.promise;
            finished += 1;
          });
        }
      },
      { daemon: true },
    );
    await flush();
    expect(begun).toBe(2);
    const report = scope.shutdown();
    begunAfter = -begun;
    await flush();
    go.resolve();
    expect(await report).toMatchObject({ cancelled: 0, stuck: [] });
    begunAfter += begun;
    expect([begunAfter, finished]).toEqual([0, 2]);
  });

  it("rule 32: a consumer that is cancelled in a callback of onShutdown() takes no new job, for every kind of wait", async () => {
    const server = http.createServer();
    await listening(server);
    const scope = serverScope(server);
    const permits = createSemaphore(2);
    const released = deferred();
    const started: boolean[] = [];
    let finished = 0;
    const consumer = spawn(
      scope,
      async function consumer(own) {
        for (;;) {
          const permit = await permits.acquire(own);
          started.push(scope.draining);
          spawn(scope, async function job(task) {
            task.use(permit);
            await released.promise;
            task.throwIfCancelled();
            finished += 1;
          });
        }
      },
      { daemon: true },
    );
    scope.onShutdown(() => consumer.cancel());
    await flush();
    const report = scope.shutdown();
    released.resolve();
    expect(await report).toMatchObject({ cancelled: 0, stuck: [] });
    expect(started).toEqual([false, false]);
    expect(finished).toBe(2);
  });

  it("ends the wait of a consumer that has nothing to do", async () => {
    const server = http.createServer();
    await listening(server);
    const scope = serverScope(server);
    const jobs = createChannel<string>();
    const done = vi.fn<(cancelled: boolean) => void>();
    spawn(scope, async function consumer(own) {
      const waiting = createScope(own, { signal: scope.drainSignal });
      await jobs.receive(waiting).catch(() => undefined);
      await waiting.close();
      done(scope.cancelled);
    });
    await flush();
    expect(await scope.shutdown()).toMatchObject({ cancelled: 0, stuck: [] });
    expect(done).toHaveBeenCalledWith(false);
  });
});

describe("drainDelay", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
  afterEach(() => void vi.useRealTimers());

  const hosts: Record<string, () => Promise<Server>> = {
    "node:http": async () => {
      const server: Server = http.createServer((_request, response) =>
        response.writeHead(serverScope(server).draining ? 503 : 200).end(),
      );
      return server;
    },
    Express: async () => {
      const app = express();
      app.use(expressBough());
      const server: Server = http.createServer(app);
      app.get(
        "/ready",
        (_request, response) => void response.sendStatus(serverScope(server).draining ? 503 : 200),
      );
      return server;
    },
    Fastify: async () => {
      const app = Fastify();
      await app.register(fastifyBough);
      app.get("/ready", (_request, reply) => reply.code(app.scope.draining ? 503 : 200).send());
      await app.ready();
      return app.server;
    },
  };

  it.each(Object.keys(hosts))(
    "rule 32: the server continues to listen, so that a readiness probe sees the shutdown: %s",
    async (host) => {
      const server = await (hosts[host] as () => Promise<Server>)();
      const url = `${await listening(server)}/ready`;
      const status = (): Promise<number | string> =>
        new Promise((resolve) => {
          const request = http.get(url, { agent: false }, (response) => {
            response.resume();
            resolve(response.statusCode ?? 0);
          });
          request.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? ""));
        });
      expect(await status()).toBe(200);
      const scope = serverScope(server, { drainDelay: 5_000 });
      const report = scope.shutdown();
      expect(server.listening).toBe(true);
      expect(await status()).toBe(503);
      vi.advanceTimersByTime(4_999);
      expect(await status()).toBe(503);
      vi.advanceTimersByTime(1);
      await flush();
      expect(server.listening).toBe(false);
      expect(await status()).toBe("ECONNREFUSED");
      expect(await report).toMatchObject({ cancelled: 0, stuck: [], cutOff: 0 });
    },
  );

  it("is cut short by a cancellation, and left out if the cancellation comes first", async () => {
    for (const order of ["during", "before"]) {
      const server = http.createServer();
      await listening(server);
      const scope = serverScope(server, { drainDelay: 60_000 });
      if (order === "before") scope.cancel();
      const report = scope.shutdown();
      if (order === "during") scope.cancel();
      await flush();
      expect(server.listening).toBe(false);
      expect(await report).toMatchObject({ stuck: [] });
    }
  });

  it("is left out for a server that does not listen, or no longer", async () => {
    const server = http.createServer();
    await serverScope(server, { drainDelay: 60_000 }).shutdown();
    await listening(server);
    const closed = new Promise((resolve) => server.close(resolve));
    await closed;
    expect(await serverScope(server, { drainDelay: 60_000 }).shutdown()).toMatchObject({ stuck: [] });
  });

  it("can be given to shutdown()", async () => {
    const server = http.createServer();
    await listening(server);
    const report = serverScope(server, { drainDelay: 60_000 }).shutdown({ drainDelay: 0 });
    expect(server.listening).toBe(false);
    await report;
  });

  it.each([{ drainDelay: -1 }, { drainDelay: "1" }, { drainDelay: Number.NaN }])(
    "throws on %o",
    async (bad) => {
      const server = http.createServer();
      expect(() => serverScope(server, bad as never)).toThrow(/^serverScope: drainDelay must be /);
      await expect(serverScope(server).shutdown(bad as never)).rejects.toThrow(
        /^shutdown: drainDelay must be /,
      );
    },
  );
});

describe("streams that do not end by themselves", () => {
  it("rule 32: end properly over Fastify when a callback of onShutdown closes them", async () => {
    const app = Fastify();
    const bus = new EventEmitter();
    await app.register(fastifyBough, { grace: 60_000 });
    app.scope.onShutdown(() => void bus.emit("bye"));
    app.get("/events", (request, reply) => {
      async function* frames(): AsyncGenerator<string> {
        yield "data: 1\n\n";
        for await (const _ of events(request.scope, bus, "x", { until: "bye" })) yield "x";
      }
      return reply.type("text/event-stream").send(toReadableStream(request.scope, frames()));
    });
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    const response = await fetch(`${url}/events`);
    const text = response.text();
    await app.close();
    expect(await text).toBe("data: 1\n\n");
    expect(await app.scope.shutdown()).toMatchObject({ cancelled: 0, cutOff: 0, stuck: [] });
  });

  it("rule 32: end in good order over node:http", async () => {
    const bench = await serve("http/1.1", (_request, response) => {
      response.write("data: 1\n\n");
      serverScope(bench.server).onShutdown(() => void response.end("data: bye\n\n"));
    });
    const exchange = await bench.request();
    await exchange.started;
    const report = await serverScope(bench.server).shutdown({ grace: 60_000 });
    expect((await exchange.answer)?.body).toBe("data: 1\n\ndata: bye\n\n");
    expect(report).toMatchObject({ running: 1, cancelled: 0, cutOff: 0, stuck: [] });
  });
});
