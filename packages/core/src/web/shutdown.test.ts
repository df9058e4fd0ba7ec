import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createScope, sleep, spawn, type Scope } from "../index.js";
import { deferred, flush, outcomeOf, rejection } from "../../test/support/deferred.js";
import { exchange, ManualBody, nextPart, readerOf } from "../../test/support/web-requests.js";
import { fetchBough, type CancelledOutcome } from "./index.js";

// Only `setTimeout` is faked: the shutdown looks for its end by the platform's own timers.

const get = (): Request => new Request("http://localhost/");
const forever = () => new Promise<never>(() => undefined);

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterEach(() => void vi.useRealTimers());

describe("rule 32: shutdown() of fetchBough", () => {
  it("is announced, and lets running requests finish", async () => {
    const work = deferred<Response>();
    const { handle, response } = exchange(() => work.promise);
    const told: string[] = [];
    handle.scope.onShutdown(() => void told.push("callback"));
    expect([handle.scope.draining, handle.scope.drainSignal.aborted]).toEqual([false, false]);
    const report = handle.shutdown();
    expect([handle.scope.draining, handle.scope.drainSignal.aborted]).toEqual([true, true]);
    expect(told).toEqual(["callback"]);
    expect(await outcomeOf(report)).toBe("pending");
    work.resolve(new Response("done"));
    expect(await (await response).text()).toBe("done");
    expect(await report).toMatchObject({ running: 1, cancelled: 0, stuck: [], cutOff: 0 });
    expect(handle.scope.state).toBe("closed");
  });

  it("waits for a body that is being sent", async () => {
    const body = new ManualBody();
    const { handle, response } = exchange(() => new Response(body.stream));
    const reader = readerOf(await response);
    const report = handle.shutdown();
    await flush();
    expect(await outcomeOf(report)).toBe("pending");
    body.end();
    await nextPart(reader);
    expect(await report).toMatchObject({ running: 1, cancelled: 0, cutOff: 0 });
  });

  it("ends bodies that never end by themselves in onShutdown", async () => {
    const body = new ManualBody();
    const { handle, response } = exchange((_, scope) => {
      void scope;
      return new Response(body.stream);
    });
    handle.scope.onShutdown(() => {
      body.send("bye");
      body.end();
    });
    const text = (await response).text();
    expect(await handle.shutdown()).toMatchObject({ cancelled: 0, cutOff: 0 });
    expect(await text).toBe("bye");
  });

  it("cancels with kind shutdown when the grace period is over, and answers 503 for a handler that fails because of it", async () => {
    const outcomes: CancelledOutcome[] = [];
    const { handle, response, scope } = exchange((_, own) => sleep(own, 60_000), {
      grace: 1_000,
      onCancelled: (outcome) => outcomes.push(outcome),
    });
    const report = handle.shutdown();
    await vi.advanceTimersByTimeAsync(1_000);
    expect((await response).status).toBe(503);
    expect(scope.reason?.kind).toBe("shutdown");
    expect(outcomes).toEqual([{ status: 503, error: scope.reason }]);
    expect(await report).toMatchObject({ running: 1, cancelled: 1, stuck: [] });
  });

  it("does not replace the answer of a handler that still gives one", async () => {
    const { handle, response } = exchange(
      async (_, own) => {
        await sleep(own, 60_000).catch(() => undefined);
        return new Response("goodbye");
      },
      { grace: 10 },
    );
    const report = handle.shutdown();
    await vi.advanceTimersByTimeAsync(10);
    expect(await (await response).text()).toBe("goodbye");
    expect(await report).toMatchObject({ cancelled: 1, stuck: [] });
  });

  it("answers 503 for a handler that is stuck, and reports it", async () => {
    const { handle, response } = exchange(forever, { grace: 10 });
    const report = handle.shutdown({ grace: 5 });
    await vi.advanceTimersByTimeAsync(1_200);
    expect((await response).status).toBe(503);
    const { stuck } = await report;
    expect(stuck).toMatchObject([{ path: "server/GET /", waitingFor: "response" }]);
  });

  it("cuts off a body that is stuck, and counts it", async () => {
    const body = new ManualBody();
    const { handle, response, scope } = exchange(() => new Response(body.stream), { grace: 5 });
    const reader = readerOf(await response);
    body.send("a");
    await nextPart(reader);
    body.send("b"); // never read: the client is slow
    const report = handle.shutdown();
    await vi.advanceTimersByTimeAsync(1_200);
    expect(await report).toMatchObject({ running: 1, cancelled: 1, cutOff: 1 });
    expect(await rejection(reader.read())).toBe(scope.reason);
  });

  it("counts a body whose source fails because of it, and reports it with 503", async () => {
    const outcomes: CancelledOutcome[] = [];
    const { handle, response, scope } = exchange(
      (_, own) => {
        const body = new ManualBody();
        body.send("a");
        own.onCancel((reason) => body.fail(reason));
        return new Response(body.stream);
      },
      { grace: 5, onCancelled: (outcome) => outcomes.push(outcome) },
    );
    const reader = readerOf(await response);
    await nextPart(reader);
    const next = rejection(reader.read());
    const report = handle.shutdown();
    await vi.advanceTimersByTimeAsync(5);
    expect(await report).toMatchObject({ running: 1, cancelled: 1, stuck: [], cutOff: 1 });
    expect(await next).toBe(scope.reason);
    expect(outcomes).toEqual([{ status: 503, error: scope.reason }]);
  });

  it("does not count a body that its deadline has broken off meanwhile", async () => {
    const { handle, response } = exchange(
      (_, own) => {
        const body = new ManualBody();
        body.send("a");
        own.onCancel((reason) => body.fail(reason));
        return new Response(body.stream);
      },
      { timeout: 20, grace: 1_000 },
    );
    const reader = readerOf(await response);
    await nextPart(reader);
    const next = rejection(reader.read());
    const report = handle.shutdown();
    await vi.advanceTimersByTimeAsync(20);
    expect(await report).toMatchObject({ running: 1, cancelled: 0, cutOff: 0 });
    expect(await next).toMatchObject({ kind: "deadline" });
  });

  it("gives requests that arrive after the grace period a scope that is cancelled", async () => {
    const scopes: Scope[] = [];
    const stuck = deferred<Response>();
    const handle = fetchBough(
      (_request: Request, scope) => {
        scopes.push(scope);
        return scopes.length === 1 ? stuck.promise : new Response(String(scope.reason?.kind));
      },
      { grace: 10 },
    );
    const first = handle(get());
    const report = handle.shutdown();
    await vi.advanceTimersByTimeAsync(10);
    expect(await (await handle(get())).text()).toBe("shutdown");
    stuck.resolve(new Response("late"));
    expect(await (await first).text()).toBe("late");
    await report;
  });

  it("rule 35: answers 503 to requests that arrive when it is over, and calls no handler", async () => {
    const handler = vi.fn<(request: Request) => Response>(() => new Response("x"));
    const outcomes: CancelledOutcome[] = [];
    const handle = fetchBough(handler, { onCancelled: (outcome) => outcomes.push(outcome) });
    await handle.shutdown();
    expect((await handle(get())).status).toBe(503);
    expect(handler).not.toHaveBeenCalled();
    expect(outcomes).toMatchObject([{ status: 503, error: { kind: "shutdown" } }]);
  });

  it("takes requests during drainDelay, before the grace period begins", async () => {
    const isDraining = (): boolean => handle.scope.draining;
    const handle = fetchBough((_request: Request) => new Response(String(isDraining())), {
      drainDelay: 5_000,
    });
    const report = handle.shutdown();
    await vi.advanceTimersByTimeAsync(4_000);
    expect(await (await handle(get())).text()).toBe("true");
    expect(await outcomeOf(report)).toBe("pending");
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await report).toMatchObject({ running: 0, cancelled: 0 });
  });

  it("waits for jobs, and stops daemons last", async () => {
    const job = deferred();
    const order: string[] = [];
    const handle = fetchBough((_request: Request) => new Response("x"));
    spawn(handle.scope, () => job.promise.then(() => void order.push("job")));
    spawn(
      handle.scope,
      async (task) => {
        await sleep(task, 60_000).catch(() => undefined);
        order.push("daemon");
      },
      { daemon: true },
    );
    const report = handle.shutdown();
    await flush();
    expect(order).toEqual([]);
    job.resolve();
    await report;
    expect(order).toEqual(["job", "daemon"]);
  });

  it("has one report, and rejects with the failure of a cleanup", async () => {
    const failure = new Error("planted");
    const handle = fetchBough((_request: Request) => new Response("x"));
    handle.scope.defer(() => Promise.reject(failure));
    const [first, second] = [handle.shutdown(), handle.scope.shutdown()];
    expect(await rejection(first)).toBe(failure);
    expect(await rejection(second)).toBe(failure);
  });

  it("happens without a grace period when its scope or its parent is cancelled", async () => {
    const parent = createScope({ name: "app" });
    const handle = fetchBough((_request: Request, scope) => sleep(scope, 60_000), { parent });
    const response = handle(get());
    parent.cancel("over");
    expect(((await response) as Response).status).toBe(503);
    expect(await handle.shutdown()).toMatchObject({ stuck: [] });
    await parent.close();
  });

  it.each([{ grace: -1 }, { drainDelay: Number.NaN }, { gracePeriod: 1 } as never])(
    "refuses bad options: %o",
    async (options) => {
      const handle = fetchBough((_request: Request) => new Response("x"));
      expect(await rejection(handle.shutdown(options))).toSatisfy(
        (error) => error instanceof TypeError || error instanceof RangeError,
      );
    },
  );
});
