import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { deferred, flush, outcomeOf, rejection } from "../../../test/support/deferred.js";
import { untilCancelled } from "../../../test/support/until-cancelled.js";
import {
  createScope,
  DeadlineExceededError,
  retry,
  suppressed,
  withScope,
  type RetryOptions,
  type Scope,
} from "../../index.js";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** A worker that fails with `failures`, one after the other, then succeeds. */
function flaky(...failures: readonly unknown[]): { calls: number; worker: () => Promise<string> } {
  const self = {
    calls: 0,
    worker: async () => {
      self.calls += 1;
      if (self.calls <= failures.length) throw failures[self.calls - 1];
      return "done";
    },
  };
  return self;
}

const plain = { minDelay: 100, jitter: false };

describe("retry()", () => {
  it("resolves with the value of the first attempt that succeeds", async () => {
    const { worker } = flaky();
    expect(await withScope((scope) => retry(scope, worker))).toBe("done");
    expect(vi.getTimerCount()).toBe(0);
  });

  it("rule 22: tries three times, with delays that double, then rejects with the last error itself", async () => {
    const errors = [new Error("1"), new Error("2"), new Error("3"), new Error("4")];
    const scope = createScope();
    const attempts = flaky(...errors);
    const result = retry(scope, attempts.worker, plain);
    void result.catch(() => undefined);
    await flush();
    expect(attempts.calls).toBe(1);
    vi.advanceTimersByTime(99);
    await flush();
    expect(attempts.calls).toBe(1);
    vi.advanceTimersByTime(1);
    await flush();
    expect(attempts.calls).toBe(2);
    vi.advanceTimersByTime(199);
    await flush();
    expect(attempts.calls).toBe(2);
    vi.advanceTimersByTime(1);
    expect(await rejection(result)).toBe(errors[2]);
    expect(attempts.calls).toBe(3);
    expect(scope.errors).toEqual([]);
    await scope.close();
  });

  it("delays no longer than maxDelay", async () => {
    const scope = createScope();
    const attempts = flaky(1, 2, 3);
    const result = retry(scope, attempts.worker, { ...plain, attempts: 4, factor: 10, maxDelay: 150 });
    for (const delay of [100, 150, 150]) {
      await flush();
      vi.advanceTimersByTime(delay);
    }
    expect(await result).toBe("done");
    await scope.close();
  });

  it.each([
    [0, 50],
    [1, 100],
  ])("waits between half of the delay and all of it, with jitter (%s)", async (random, delay) => {
    vi.spyOn(Math, "random").mockReturnValue(random);
    const scope = createScope();
    const attempts = flaky(1);
    const result = retry(scope, attempts.worker, { minDelay: 100 });
    await flush();
    vi.advanceTimersByTime(delay - 1);
    expect(await outcomeOf(result)).toBe("pending");
    vi.advanceTimersByTime(1);
    expect(await result).toBe("done");
    await scope.close();
  });

  it("asks retryIf with the error and the number of the attempt", async () => {
    const failure = new Error("fatal");
    const asked: unknown[] = [];
    const error = await rejection(
      withScope((scope) =>
        retry(scope, flaky(failure).worker, {
          retryIf: (...args) => {
            asked.push(args);
            return false;
          },
        }),
      ),
    );
    expect(error).toBe(failure);
    expect(asked).toEqual([[failure, 1]]);
  });

  it("reads options that are inherited, as from a prototype with defaults", async () => {
    const seen: string[] = [];
    const defaults: RetryOptions = {
      attempts: 2,
      retryIf: () => (seen.push("retryIf"), true),
      delay: () => (seen.push("delay"), 5),
      onRetry: () => seen.push("onRetry"),
    };
    const { worker } = flaky("first");
    const result = retry(createScope(), worker, Object.create(defaults) as RetryOptions);
    await vi.advanceTimersByTimeAsync(5);
    expect([await result, seen]).toEqual(["done", ["retryIf", "delay", "onRetry"]]);

    const timedOut = rejection(
      retry(
        createScope(),
        untilCancelled,
        Object.create({ attempts: 1, attemptTimeout: 50 }) as RetryOptions,
      ),
    );
    await vi.advanceTimersByTimeAsync(50);
    expect(await timedOut).toMatchObject({ code: "BOUGH_DEADLINE_EXCEEDED", timeout: 50 });
  });

  it("rejects with the error that retryIf throws, and keeps the attempt's failure in suppressed()", async () => {
    const [failure, bug] = [new Error("failure"), new Error("bug")];
    const retryIf = (): boolean => {
      throw bug;
    };
    const error = await rejection(withScope((scope) => retry(scope, flaky(failure).worker, { retryIf })));
    expect(error).toBe(bug);
    expect(suppressed(error)).toEqual([failure]);
  });

  it("rule 22: counts an attempt that runs out of attemptTimeout as failed, and waits for its cleanup", async () => {
    const scope = createScope();
    const cleaned = deferred();
    let calls = 0;
    const result = retry(
      scope,
      async (own) => {
        if (++calls === 2) return "done";
        own.defer(() => cleaned.promise);
        return untilCancelled(own);
      },
      { minDelay: 0, attemptTimeout: 50 },
    );
    vi.advanceTimersByTime(50);
    await flush();
    vi.advanceTimersByTime(0);
    await flush();
    expect(calls).toBe(1);
    cleaned.resolve();
    await flush();
    vi.advanceTimersByTime(0);
    expect(await result).toBe("done");
    await scope.close();
  });

  it("rejects with a DeadlineExceededError when the last attempt runs out of attemptTimeout", async () => {
    const scope = createScope();
    const result = retry(scope, untilCancelled, { attempts: 1, attemptTimeout: 50 });
    vi.advanceTimersByTime(50);
    expect(await rejection(result)).toBeInstanceOf(DeadlineExceededError);
    expect(scope.cancelled).toBe(false);
    await scope.close();
  });

  it("ends with the reason when its scope is cancelled during an attempt", async () => {
    const scope = createScope();
    let calls = 0;
    const result = retry(scope, (own) => {
      calls += 1;
      return untilCancelled(own);
    });
    scope.cancel();
    expect(await rejection(result)).toBe(scope.reason);
    expect([calls, vi.getTimerCount()]).toEqual([1, 0]);
  });

  it("does not call retryIf once its scope is cancelled, and rejects with the failure of a cleanup", async () => {
    const scope = createScope({ timeout: 50 });
    const failure = new Error("cleanup");
    let asked = 0;
    const retryIf = (): boolean => ++asked > 0;
    const cut = retry(scope, untilCancelled, { ...plain, retryIf });
    const failed = retry(
      scope,
      (own) => {
        own.defer(() => Promise.reject(failure));
        return untilCancelled(own);
      },
      { ...plain, retryIf },
    );
    vi.advanceTimersByTime(50);
    expect(await rejection(cut)).toBe(scope.reason);
    expect(await rejection(failed)).toBe(failure);
    expect([asked, vi.getTimerCount()]).toEqual([0, 0]);
  });

  it("ends with the reason when its scope is cancelled during a delay, and loses no failure", async () => {
    const scope = createScope();
    const failure = new Error("before");
    const attempts = flaky(failure);
    const result = retry(scope, attempts.worker, plain);
    await flush();
    scope.cancel();
    expect(await rejection(result)).toBe(scope.reason);
    expect(suppressed(scope.reason)).toEqual([failure]);
    expect([attempts.calls, vi.getTimerCount()]).toEqual([1, 0]);
  });

  it("keeps its scope from ending during a delay", async () => {
    const scope = createScope();
    const attempts = flaky(1);
    const result = retry(scope, attempts.worker, plain);
    const joined = scope.join();
    await flush();
    expect(await outcomeOf(joined)).toBe("pending");
    vi.advanceTimersByTime(100);
    expect(await result).toBe("done");
    await joined;
  });

  it("rule 22: ends when the worker cancels itself, with that reason", async () => {
    let calls = 0;
    const error = await rejection(
      withScope((scope) =>
        retry(scope, (own) => {
          calls += 1;
          own.cancel("enough");
          return untilCancelled(own);
        }),
      ),
    );
    expect(error).toMatchObject({ kind: "explicit", cause: "enough" });
    expect(calls).toBe(1);
  });

  it("rejects with the reason in a scope that is cancelled already, and does not call the worker", async () => {
    const scope = createScope();
    scope.cancel();
    const attempts = flaky();
    expect(await rejection(retry(scope, attempts.worker))).toBe(scope.reason);
    expect(attempts.calls).toBe(0);
  });

  it.each<[string, unknown, unknown, typeof Error]>([
    ["no function", 1, undefined, TypeError],
    ["options that are none", () => 1, 1, TypeError],
    ["no attempts", () => 1, { attempts: 0 }, RangeError],
    ["attempts that are no number", () => 1, { attempts: "3" }, TypeError],
    ["a negative delay", () => 1, { minDelay: -1 }, RangeError],
    ["a maxDelay that is NaN", () => 1, { maxDelay: NaN }, RangeError],
    ["a factor below 1", () => 1, { factor: 0.5 }, RangeError],
    ["a jitter that is no boolean", () => 1, { jitter: 1 }, TypeError],
    ["a negative attemptTimeout", () => 1, { attemptTimeout: -1 }, RangeError],
    ["a retryIf that is no function", () => 1, { retryIf: true }, TypeError],
  ])("rejects %s", async (_, worker, options, type) => {
    const scope = createScope();
    expect(await rejection(retry(scope, worker as never, options as RetryOptions))).toBeInstanceOf(type);
    await scope.close();
  });

  it("rejects a value that is not a scope", async () => {
    expect(await rejection(retry({} as Scope, () => 1))).toBeInstanceOf(TypeError);
  });

  it("never runs two attempts at once, and none after its outcome is decided, for every order of events", async () => {
    vi.useRealTimers();
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }),
        fc.option(fc.integer({ min: 0, max: 6 }), { nil: undefined }),
        async (schedule, fails, cancelAt) => {
          const scope = createScope();
          let [running, calls, steps] = [0, 0, 0];
          const failures: unknown[] = [];
          const step = async (): Promise<void> => {
            if (steps++ === cancelAt) scope.cancel();
            await schedule.schedule(Promise.resolve());
          };
          const result = retry(
            scope,
            async (own) => {
              expect(++running).toBe(1);
              const fail = fails[calls++] === true;
              own.defer(async () => {
                await step();
                running -= 1;
              });
              await step();
              own.throwIfCancelled();
              if (!fail) return "done";
              failures.push(new Error(`${calls}`));
              throw failures.at(-1);
            },
            { attempts: fails.length, minDelay: 0 },
          );
          const [outcome] = await schedule.waitFor(Promise.allSettled([result]));
          expect(running).toBe(0);
          const firstGood = fails.indexOf(false);
          const expected = firstGood < 0 ? failures.at(-1) : "done";
          const actual: unknown = outcome.status === "fulfilled" ? outcome.value : outcome.reason;
          expect([expected, scope.reason, failures.at(-1)]).toContain(actual);
          expect(calls).toBeLessThanOrEqual(firstGood < 0 ? fails.length : firstGood + 1);
          const before = calls;
          await flush();
          expect(calls).toBe(before);
          await scope.close();
        },
      ),
      { numRuns: 50 },
    );
  });
});
