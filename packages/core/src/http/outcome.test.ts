import { once } from "node:events";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { deferred, flush, rejection } from "../../test/support/deferred.js";
import { transports } from "../../test/support/http-clients.js";
import { serve } from "../../test/support/http-server.js";
import { all, sleep, spawn, withScope, type Scope } from "../index.js";
import { outgoingHeaders, requestOutcome, requestScope, serverScope, type RequestOutcome } from "./index.js";

const boom = new Error("boom");

/** A handler that does not use `requestOutcome`. */
const asOnceDocumented =
  (body: (scope: Scope, response: ServerResponse) => Promise<unknown>, options?: { timeout: number }) =>
  async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const scope = requestScope(request, response, options);
    try {
      await body(scope, response);
      response.end("done");
    } catch {
      if (scope.cancelled) return; // the client is gone, or has been answered with 503
      response.writeHead(500).end("mine");
    }
  };

/** A task that fails while the handler waits for something else. */
async function failingTask(scope: Scope): Promise<void> {
  spawn(scope, async function audit() {
    await flush();
    throw boom;
  });
  await sleep(scope, 60_000);
}

/** Lets timers fire, of which one leads to the next, until `promise` has settled. */
async function whileTimePasses<T>(promise: PromiseLike<T>): Promise<T> {
  let settled = false;
  const note = (): void => void (settled = true);
  promise.then(note, note);
  while (!settled) {
    vi.advanceTimersByTime(10);
    for (let turn = 0; turn < 5; turn++) await flush(); // the sockets' time is real
  }
  return promise;
}

describe.each(transports)(
  "a handler of node:http that leaves its cancelled request unanswered, over %s",
  (transport) => {
    beforeEach(
      () => void vi.useFakeTimers({ toFake: ["setTimeout", "setInterval", "clearTimeout", "clearInterval"] }),
    );
    afterEach(() => void vi.useRealTimers());

    it.each([
      ["a task that fails", failingTask],
      [
        "a task that it awaits",
        (scope: Scope) =>
          spawn(scope, async () => {
            throw boom;
          }),
      ],
    ])("rule 30: is answered for with 500: %s", async (_, body) => {
      const bench = await serve(transport, asOnceDocumented(body));
      const errors: unknown[] = [];
      serverScope(bench.server, { onError: (error) => errors.push(error) });
      const client = await bench.request();
      bench.release();
      expect(await whileTimePasses(client.answer)).toMatchObject({
        status: 500,
        body: "Internal Server Error\n",
        complete: true,
      });
      await flush();
      expect(errors.every((error) => error === boom)).toBe(true);
    });

    it("rule 30: is cut off when its response has begun", async () => {
      const bench = await serve(
        transport,
        asOnceDocumented(async (scope, response) => {
          response.write("part");
          await failingTask(scope);
        }),
      );
      serverScope(bench.server, { onError: () => undefined });
      const client = await bench.request();
      bench.release();
      await client.started;
      expect(await whileTimePasses(client.answer)).toMatchObject({ body: "part", complete: false });
    });

    it("rule 30: is answered by bough when its own time is up, though a task's failure came first", async () => {
      const bench = await serve(transport, asOnceDocumented(failingTask, { timeout: 200 }));
      serverScope(bench.server, { onError: () => undefined });
      const began = Date.now();
      const client = await bench.request();
      bench.release();
      const answer = await whileTimePasses(client.answer);
      expect([500, 503]).toContain(answer?.status);
      expect(Date.now() - began).toBeLessThan(10_000);
    });

    it("rule 32: is answered by bough at a shutdown, and is not reported as stuck", async () => {
      const arrived = deferred();
      const bench = await serve(
        transport,
        asOnceDocumented(async (scope) => {
          arrived.resolve();
          await all(scope, [(task) => sleep(task, 60_000)]);
        }),
      );
      serverScope(bench.server);
      const client = await bench.request();
      bench.release();
      await arrived.promise;
      const report = serverScope(bench.server).shutdown({ grace: 50 });
      expect(await whileTimePasses(client.answer)).toMatchObject({ status: 503, complete: true });
      expect(await whileTimePasses(report)).toMatchObject({ stuck: [], cancelled: 1 });
    });

    it("rule 30: may answer itself within a moment, and its late answer is ignored after that", async () => {
      for (const isLate of [false, true]) {
        const failed = deferred();
        const rendered = deferred();
        const written = deferred<unknown>();
        const bench = await serve(transport, async (request, response) => {
          await failingTask(requestScope(request, response)).catch(() => undefined);
          failed.resolve();
          await rendered.promise;
          try {
            response.setHeader("x-mine", "1");
            response.writeHead(500).end("mine");
            written.resolve(undefined);
          } catch (error) {
            written.resolve(error);
          }
        });
        serverScope(bench.server, { onError: () => undefined });
        const client = await bench.request();
        bench.release();
        await failed.promise;
        vi.advanceTimersByTime(500);
        if (!isLate) rendered.resolve();
        const answer = await whileTimePasses(client.answer);
        rendered.resolve();
        expect(answer).toMatchObject({ status: 500, body: isLate ? "Internal Server Error\n" : "mine" });
        expect(await written.promise).toBeUndefined();
      }
    });
  },
);

describe("a failed task of a request", () => {
  it("rule 11: counts as received when the handler has answered with an error", async () => {
    const printed = vi.spyOn(console, "error").mockImplementation(() => undefined);
    onTestFinished(() => printed.mockRestore());
    const onError = vi.fn<(error: unknown) => void>();
    const bench = await serve("http/1.1", async (request, response) => {
      const scope = requestScope(request, response);
      await failingTask(scope).catch((error: unknown) => response.writeHead(502).end(String(error)));
    });
    serverScope(bench.server, { onError });
    expect(await (await bench.request()).answer).toMatchObject({ status: 502 });
    await flush();
    expect(onError).not.toHaveBeenCalled();
    expect(printed).not.toHaveBeenCalled();
  });

  it.each([200, 404])(
    "rule 11: is printed when it has no receiver, the handler answers %d",
    async (status) => {
      const printed = vi.spyOn(console, "error").mockImplementation(() => undefined);
      onTestFinished(() => printed.mockRestore());
      const bench = await serve("http/1.1", async (request, response) => {
        await failingTask(requestScope(request, response)).catch(() => undefined);
        response.writeHead(status).end();
      });
      expect(await (await bench.request({ path: "/orders?secret" })).answer).toMatchObject({ status });
      await expect.poll(() => printed.mock.calls).toHaveLength(1);
      expect(printed.mock.calls[0]?.[0]).toContain("server/GET /orders/audit");
      expect(printed.mock.calls[0]?.[1]).toBe(boom);
    },
  );
});

describe("requestOutcome()", () => {
  /** The outcome of a request whose handler fails. */
  async function outcomeOf(
    body: (scope: Scope, request: IncomingMessage) => unknown,
    use: (server: http.Server, send: (headers?: Record<string, string>) => http.ClientRequest) => unknown = (
      _,
      send,
    ) => send(),
  ): Promise<{ outcome: RequestOutcome; scope: Scope; error: unknown }> {
    const found = deferred<{ outcome: RequestOutcome; scope: Scope; error: unknown }>();
    const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
      const scope = requestScope(request, response);
      const error = await rejection(Promise.resolve(scope).then((it) => body(it, request)));
      const outcome = requestOutcome(request, response, error);
      expect(requestOutcome(request, response, error)).toEqual(outcome);
      found.resolve({ outcome, scope, error });
      response.writeHead(outcome.status ?? 500).end();
    };
    const server = http.createServer((request, response) => void handle(request, response));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    const send = (headers: Record<string, string> = {}): http.ClientRequest =>
      http
        .get({ port: (server.address() as AddressInfo).port, host: "127.0.0.1", headers }, (answer) =>
          answer.resume(),
        )
        .on("error", () => undefined);
    await use(server, send);
    return found.promise;
  }

  it("rule 30: returns 499 for a disconnected client", async () => {
    const arrived = deferred();
    const { outcome, scope } = await outcomeOf(
      (scope) => {
        arrived.resolve();
        return delay(60_000, undefined, { signal: scope.signal });
      },
      async (_, send) => {
        const client = send();
        await arrived.promise;
        client.destroy();
      },
    );
    expect(outcome).toEqual({ status: 499, error: scope.reason });
    expect(scope.reason?.kind).toBe("disconnected");
  });

  it("rule 30: returns 499 for the error of Node's parser when the client leaves in the middle of its upload", async () => {
    const arrived = deferred();
    const { outcome, error } = await outcomeOf(
      async (_, request) => {
        arrived.resolve();
        request.resume().on("error", () => undefined);
        const [failure] = await new Promise<unknown[]>((resolve) =>
          request.socket.on("error", (...given: unknown[]) => resolve(given)),
        );
        throw failure;
      },
      async (_, send) => {
        const client = send({ "content-length": "10" });
        await arrived.promise;
        client.destroy();
      },
    );
    expect(error).toMatchObject({ code: "HPE_INVALID_EOF_STATE" });
    expect(outcome).toEqual({ status: 499, error });
  });

  it("rule 30: returns 503 for a deadline and for a shutdown, 504 for the caller's deadline", async () => {
    const waiting = (scope: Scope): Promise<void> => sleep(scope, 60_000);
    const deadline = await outcomeOf(waiting, (server, send) => {
      serverScope(server, { timeout: 20 });
      send();
    });
    expect(deadline.outcome).toEqual({ status: 503, error: deadline.scope.reason });
    const arrived = deferred();
    const shutdown = await outcomeOf(
      (scope) => {
        arrived.resolve();
        return waiting(scope);
      },
      async (server, send) => {
        send();
        await arrived.promise;
        void serverScope(server).shutdown({ grace: 0 });
      },
    );
    expect(shutdown.outcome).toEqual({ status: 503, error: shutdown.scope.reason });
    const travelled = await outcomeOf(waiting, async (server, send) => {
      serverScope(server, { deadlineHeader: true });
      await withScope({ timeout: 60_000 }, (caller) => {
        const [name = ""] = Object.keys(outgoingHeaders(caller));
        send({ [name]: "20" });
      });
    });
    expect(travelled.outcome).toEqual({ status: 504, error: travelled.scope.reason });
  });

  it("rule 30: returns 504 for a call that exceeded its own timeout, also in a task", async () => {
    const call = (scope: Scope): Promise<void> =>
      withScope(scope, { name: "stock", timeout: 10 }, (own) => sleep(own, 60_000));
    const own = await outcomeOf(call);
    expect(own.outcome).toEqual({ status: 504, error: own.error });
    expect(own.error).toMatchObject({ kind: "deadline", scope: expect.stringMatching(/stock$/) });
    const inTask = await outcomeOf(async (scope) => {
      spawn(scope, call);
      await sleep(scope, 60_000);
    });
    expect(inTask.outcome).toMatchObject({ status: 504, error: { scope: expect.stringMatching(/stock$/) } });
  });

  it("rule 30: returns a failure whose cause cannot be read, or whose causes are circular, unchanged", async () => {
    const unreadable = Object.defineProperty(new Error("a"), "cause", {
      get() {
        throw boom;
      },
    });
    const circular: Error = new Error("b");
    circular.cause = new Error("c", { cause: circular });
    for (const error of [unreadable, circular]) {
      const { outcome } = await outcomeOf(() => Promise.reject(error));
      expect(outcome.error).toBe(error);
      expect(outcome.status).toBeUndefined();
    }
  });

  it("rule 30: returns any other failure: that of the task itself, not the cancellation that followed", async () => {
    const plain = await outcomeOf(() => Promise.reject(boom));
    expect(plain.outcome).toEqual({ error: boom });
    expect(plain.outcome.error).toBe(boom);
    const task = await outcomeOf(failingTask);
    expect(task.error).toBe(task.scope.reason);
    expect(task.outcome.error).toBe(boom);
    const wrapped = await outcomeOf(async (scope) => {
      void failingTask(scope).catch(() => undefined);
      await delay(60_000, undefined, { signal: scope.signal });
    });
    expect(wrapped.error).not.toBe(boom);
    expect(wrapped.outcome.error).toBe(boom);
    const tooLate = await outcomeOf(async (scope) => {
      await failingTask(scope).catch(() => undefined);
      throw new TypeError("in the cleanup");
    });
    expect(tooLate.outcome.error).toBe(tooLate.error);
  });

  it("rule 11: receives the failure, so that it is not reported again", async () => {
    const onError = vi.fn<(error: unknown) => void>();
    const { outcome } = await outcomeOf(failingTask, (server, send) => {
      serverScope(server, { onError });
      send();
    });
    expect(outcome.error).toBe(boom);
    await flush();
    await flush();
    expect(onError).not.toHaveBeenCalled();
  });

  it.each([
    [undefined, {}, /requestOutcome: request must come from an HTTP server, got undefined/],
    [{ headers: {} }, 1, /requestOutcome: response must come from an HTTP server, got 1/],
  ])("throws if an argument is not a request or a response: %o", (request, response, message) => {
    expect(() => requestOutcome(request as never, response as never, boom)).toThrow(message);
    expect(() => requestOutcome(request as never, response as never, boom)).toThrow(TypeError);
  });
});
