import { describe, expect, it } from "vitest";
import { deferred, flush, outcomeOf, rejection } from "../../../test/support/deferred.js";
import { untilCancelled } from "../../../test/support/until-cancelled.js";
import {
  BoughError,
  createScope,
  ScopeClosedError,
  spawn,
  start,
  withScope,
  type Scope,
  type Started,
} from "../../index.js";

describe("start()", () => {
  it("resolves with the value of started(), and the worker runs on as a task of the scope", async () => {
    const scope = createScope({ name: "root" });
    const listening = deferred();
    const gate = deferred();
    let path: string | undefined;
    const ready = start(scope, async function server(own, started: Started<number>) {
      path = own.path;
      await listening.promise;
      started(8080);
      await gate.promise;
    });
    expect(path).toBe("root/server/start");
    expect(await outcomeOf(ready)).toBe("pending");
    listening.resolve();
    expect(await ready).toBe(8080);
    const joined = scope.join();
    expect(await outcomeOf(joined)).toBe("pending");
    gate.resolve();
    await joined;
  });

  it("accepts a call of started() without a value, and a synchronous call", async () => {
    await withScope(async (scope) => {
      expect(await start(scope, (_, started) => started())).toBeUndefined();
    });
  });

  it("rule 22: rejects with an error from before that, for the caller alone, after the cleanup", async () => {
    const scope = createScope();
    const failure = new Error("port in use");
    const cleaned = deferred();
    const ready = start(scope, (own) => {
      own.defer(() => cleaned.promise);
      throw failure;
    });
    expect(await outcomeOf(ready)).toBe("pending");
    cleaned.resolve();
    expect(await rejection(ready)).toBe(failure);
    expect([scope.cancelled, scope.errors]).toEqual([false, []]);
    await scope.join();
  });

  it("rejects with the failure of a child of the worker before that", async () => {
    const scope = createScope();
    const failure = new Error("child");
    const ready = start(scope, (own) => {
      spawn(own, () => Promise.reject(failure));
      return untilCancelled(own);
    });
    expect(await rejection(ready)).toBe(failure);
    expect(scope.errors).toEqual([]);
    await scope.join();
  });

  it("rejects when the worker ends without calling started()", async () => {
    const scope = createScope();
    const error = await rejection(start(scope, () => "done"));
    expect(error).toBeInstanceOf(BoughError);
    expect(error).toMatchObject({ code: "BOUGH_NOT_STARTED" });
    await scope.join();
  });

  it("rule 22: reports a failure after that to the scope, at the moment of the throw", async () => {
    const scope = createScope();
    const failure = new Error("crash");
    const cleaned = deferred();
    let crash!: () => void;
    await start(scope, async (own, started) => {
      own.defer(() => cleaned.promise);
      started();
      await new Promise<void>((resolve) => (crash = resolve));
      throw failure;
    });
    const joined = rejection(scope.join());
    crash();
    await flush();
    expect(scope.reason).toMatchObject({ kind: "failure", cause: failure });
    cleaned.resolve();
    expect(await joined).toBe(failure);
  });

  it("reports a failure after that to onError in a supervising scope", async () => {
    const failure = new Error("crash");
    const reported: unknown[] = [];
    const scope = createScope({ supervise: true, onError: (error) => void reported.push(error) });
    await start(scope, async (_, started) => {
      started();
      await flush();
      throw failure;
    });
    await scope.join();
    expect(reported).toEqual([failure]);
    expect(scope.cancelled).toBe(false);
  });

  it("rule 22: rejects with the reason when the scope is cancelled before the worker is ready", async () => {
    const scope = createScope();
    const ready = start(scope, (own) => untilCancelled(own));
    scope.cancel();
    expect(await rejection(ready)).toBe(scope.reason);
  });

  it.each<[string, (started: Started<number>) => unknown]>([
    ["says that it is ready", (started) => started(1)],
    ["just returns", () => undefined],
  ])("rejects with the reason when a worker %s after the cancellation", async (_, end) => {
    const scope = createScope();
    const ready = start<number>(scope, async (own, started) => {
      await untilCancelled(own).catch(() => undefined);
      end(started);
    });
    scope.cancel();
    expect(await rejection(ready)).toBe(scope.reason);
    expect(scope.errors).toEqual([]);
  });

  it("rejects with the reason in a scope that is cancelled already, and does not call the worker", async () => {
    const scope = createScope();
    scope.cancel();
    let called = false;
    expect(await rejection(start(scope, () => (called = true)))).toBe(scope.reason);
    expect(called).toBe(false);
  });

  it("waits for its turn in a scope with a concurrency, and rejects when the scope is cancelled", async () => {
    const scope = createScope({ concurrency: 1 });
    const gate = deferred();
    spawn(scope, () => gate.promise);
    let called = false;
    const ready = start(scope, async (own, started) => {
      called = true;
      started();
      await untilCancelled(own);
    });
    const never = start(scope, (_, started) => started());
    expect(await outcomeOf(ready)).toBe("pending");
    expect(called).toBe(false);
    gate.resolve();
    await ready;
    scope.cancel();
    expect(await rejection(never)).toBe(scope.reason);
  });

  it("throws into a worker that calls started() twice", async () => {
    const scope = createScope();
    await start(scope, (_, started) => {
      started();
      started();
    });
    expect(await rejection(scope.join())).toMatchObject({ code: "BOUGH_STARTED" });
  });

  it("ignores started() of a worker that has already failed", async () => {
    const scope = createScope();
    const failure = new Error("child");
    const ready = start(scope, async (own, started) => {
      spawn(own, () => {
        throw failure;
      });
      started();
    });
    expect(await rejection(ready)).toBe(failure);
    expect(scope.cancelled).toBe(false);
    await scope.join();
  });

  it("rejects in a scope that has ended, and for a value that is not a scope or not a function", async () => {
    const scope = createScope();
    await scope.close();
    expect(await rejection(start(scope, () => 1))).toBeInstanceOf(ScopeClosedError);
    expect(await rejection(start({} as Scope, () => 1))).toBeInstanceOf(TypeError);
    expect(await rejection(start(scope, 1 as never))).toBeInstanceOf(TypeError);
  });
});
