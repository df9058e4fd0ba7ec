import { describe, expect, it, vi } from "vitest";
import { deferred, flush, outcomeOf, rejection } from "../../../test/support/deferred.js";
import { background, createScope, ScopeClosedError, spawn, withScope } from "../../index.js";
import { sleep } from "./sleep.js";
import { useFakeTime } from "../../../test/support/fake-time.js";

useFakeTime();

describe("sleep()", () => {
  it("resolves after the time and not before", async () => {
    const scope = createScope();
    const slept = sleep(scope, 100);
    vi.advanceTimersByTime(99);
    expect(await outcomeOf(slept)).toBe("pending");
    vi.advanceTimersByTime(1);
    expect(await outcomeOf(slept)).toBe("resolved");
    await scope.close();
  });

  it("rejects with the reason when its scope is cancelled, and clears its timer", async () => {
    const scope = createScope();
    const slept = sleep(scope, 100);
    scope.cancel("enough");
    expect(vi.getTimerCount()).toBe(0);
    expect(await rejection(slept)).toBe(scope.reason);
  });

  it("rejects with the reason at once in a scope that is cancelled already, and makes no timer", async () => {
    const scope = createScope();
    scope.cancel();
    const slept = sleep(scope, 100);
    expect(vi.getTimerCount()).toBe(0);
    expect(await rejection(slept)).toBe(scope.reason);
    expect(await rejection(sleep(scope, 0))).toBe(scope.reason);
  });

  it("rejects with the reason of an ancestor", async () => {
    const scope = createScope();
    const task = spawn(scope, (inner) => sleep(inner, 100));
    scope.cancel();
    expect(await rejection(task)).toBe(scope.reason);
  });

  it("is ended by the deadline of its scope", async () => {
    const done = withScope({ timeout: 50 }, (scope) => sleep(scope, 100));
    vi.advanceTimersByTime(50);
    expect(await rejection(done)).toMatchObject({ kind: "deadline" });
  });

  it("rejects in the order in which the listeners of its scope were added", () => {
    const scope = createScope();
    const log: string[] = [];
    scope.onCancel(() => log.push(`before: ${vi.getTimerCount()} timers`));
    sleep(scope, 100).catch(() => undefined);
    scope.onCancel(() => log.push(`after: ${vi.getTimerCount()} timers`));
    scope.cancel();
    expect(log).toEqual(["before: 1 timers", "after: 0 timers"]);
  });

  it("works when it is called by a callback of the cancellation", async () => {
    const scope = createScope();
    let late: Promise<void> | undefined;
    scope.onCancel(() => {
      late = sleep(scope, 100);
    });
    scope.cancel();
    expect(await rejection(late as Promise<void>)).toBe(scope.reason);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("works in a defer of a scope that was not cancelled", async () => {
    const log: string[] = [];
    const scope = createScope();
    scope.defer(async () => {
      await sleep(scope, 100);
      log.push("slept");
    });
    const joined = scope.join();
    await flush();
    vi.advanceTimersByTime(100);
    await joined;
    expect(log).toEqual(["slept"]);
  });

  it("leaves nothing behind in a scope in which it has been called many times", async () => {
    const scope = createScope();
    for (let round = 0; round < 10; round++) {
      const slept = Promise.all([sleep(scope, 1), sleep(scope, 2), sleep(scope, 3)]);
      vi.advanceTimersByTime(3);
      await slept;
    }
    const callback = vi.fn<() => void>();
    scope.onCancel(callback);
    scope.cancel();
    expect(callback).toHaveBeenCalledOnce();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("does not affect other sleeps of its scope, which may end later", async () => {
    const scope = createScope();
    const sleeps = [3, 1, 2, 4].map((ms) => sleep(scope, ms));
    vi.advanceTimersByTime(2);
    const outcomes = await Promise.all(sleeps.map((slept) => outcomeOf(slept)));
    expect(outcomes).toEqual(["pending", "resolved", "resolved", "pending"]);
    scope.cancel();
    expect(await rejection(sleeps[0] as Promise<void>)).toBe(scope.reason);
    expect(await rejection(sleeps[3] as Promise<void>)).toBe(scope.reason);
  });

  it("rule 17: can be longer than setTimeout allows", async () => {
    const days = 24 * 3600 * 1000;
    const slept = sleep(background, 60 * days);
    vi.advanceTimersByTime(59 * days);
    expect(await outcomeOf(slept)).toBe("pending");
    vi.advanceTimersByTime(days);
    expect(await outcomeOf(slept)).toBe("resolved");
  });

  it("waits for the cancellation only, without a timer, when the time is Infinity", async () => {
    const scope = createScope();
    const slept = sleep(scope, Infinity);
    expect(vi.getTimerCount()).toBe(0);
    scope.cancel();
    expect(await rejection(slept)).toBe(scope.reason);
  });

  it("waits for one turn of the timers when the time is 0", async () => {
    const slept = sleep(background, 0);
    expect(await outcomeOf(slept)).toBe("pending");
    vi.advanceTimersByTime(0);
    expect(await outcomeOf(slept)).toBe("resolved");
  });

  it("does not hold its scope open, and ends with it: only a task does", async () => {
    const scope = createScope();
    const slept = sleep(scope, 100);
    await scope.join();
    expect(scope.state).toBe("closed");
    expect(vi.getTimerCount()).toBe(0);
    expect(await rejection(slept)).toBeInstanceOf(ScopeClosedError);
  });

  it("rule 12: rejects without a failure of its worker, but an error that the worker throws in reply is one", async () => {
    const gate = deferred();
    const scope = createScope();
    const error = new Error("made of it");
    spawn(scope, (inner) => sleep(inner, 100));
    spawn(scope, async (inner) => {
      await sleep(inner, 100).catch(() => gate.resolve());
      throw error;
    });
    scope.cancel();
    await gate.promise;
    expect(await rejection(scope.close())).toBe(error);
    expect(scope.errors).toEqual([error]);
  });
});
