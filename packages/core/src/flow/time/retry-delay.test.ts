import { describe, expect, it, vi } from "vitest";
import { deferred, flush, outcomeOf, rejection } from "../../../test/support/deferred.js";
import { useFakeTime } from "../../../test/support/fake-time.js";
import {
  createScope,
  retry,
  suppressed,
  type RetryDelay,
  type RetryOptions,
  type Scope,
} from "../../index.js";

const now = Date.parse("2026-11-25T12:00:00.000Z");
useFakeTime(now);

const failure = new Error("failure");

/** A worker that fails once, and how long `retry` waits after that. */
async function delayAfter(delay: RetryOptions["delay"], options: RetryOptions = {}): Promise<number> {
  const scope = createScope();
  let calls = 0;
  const start = Date.now();
  let second = NaN;
  const result = retry(
    scope,
    async () => {
      if (++calls === 1) throw failure;
      second = Date.now() - start;
    },
    { minDelay: 77, jitter: false, ...options, delay },
  );
  await vi.runAllTimersAsync();
  await result;
  await scope.join();
  return second;
}

describe("the delay of retry()", () => {
  it.each<[RetryDelay, number]>([
    [0, 0],
    [1_500, 1_500],
    [new Date(now + 2_000), 2_000],
    [new Date(now - 2_000), 0],
    ["3", 3_000],
    ["0", 0],
    [" 120 ", 120_000],
    ["1.5", 1_500],
    ["Wed, 25 Nov 2026 12:00:09 GMT", 9_000],
    ["Wednesday, 25-Nov-26 12:00:09 GMT", 9_000],
    ["Wed Nov 25 12:00:09 2026", 9_000],
    ["Wed, 25 Nov 2026 11:59:00 GMT", 0],
    [undefined, 77],
    [null, 77],
  ])("%o means %d ms", async (value, ms) => {
    expect(await delayAfter(() => value)).toBe(ms);
  });

  it.each([
    "",
    "soon",
    "-1",
    "1e3",
    "Infinity",
    "9".repeat(400),
    "5 apples",
    "2026-11-25",
    "Mon, never",
    "12:00",
  ])("an invalid header is ignored: %o", async (value) => {
    expect(await delayAfter(() => value)).toBe(77);
  });

  it("rule 22: is limited by neither maxDelay nor jitter", async () => {
    expect(await delayAfter(() => 60_000, { maxDelay: 10, jitter: true })).toBe(60_000);
  });

  it("may be longer than a timer can be set for", async () => {
    expect(await delayAfter(() => 2 ** 32)).toBe(2 ** 32);
  });

  it("rule 22: is called with the error and the number of the attempt, after retryIf and before onRetry", async () => {
    const scope = createScope();
    const log: unknown[] = [];
    const errors = [new Error("first"), new Error("second")];
    let calls = 0;
    const result = retry(
      scope,
      async () => {
        if (calls < 2) throw errors[calls++];
        return calls;
      },
      {
        retryIf: (error, attempt) => log.push(["retryIf", error, attempt]) > 0,
        delay: (error, attempt) => {
          log.push(["delay", error, attempt]);
          return attempt === 1 ? 5 : undefined;
        },
        onRetry: (error, attempt, delay) => log.push(["onRetry", error, attempt, delay]),
        minDelay: 10,
        jitter: false,
      },
    );
    await vi.runAllTimersAsync();
    expect(await result).toBe(2);
    expect(log).toEqual([
      ["retryIf", errors[0], 1],
      ["delay", errors[0], 1],
      ["onRetry", errors[0], 1, 5],
      ["retryIf", errors[1], 2],
      ["delay", errors[1], 2],
      ["onRetry", errors[1], 2, 20],
    ]);
  });

  it("is not called after the last attempt, or if retryIf returns false", async () => {
    const scope = createScope();
    const spy = vi.fn<() => undefined>();
    const fails = (): Promise<never> => Promise.reject(failure);
    expect(await rejection(retry(scope, fails, { attempts: 1, delay: spy, onRetry: spy }))).toBe(failure);
    expect(await rejection(retry(scope, fails, { retryIf: () => false, delay: spy, onRetry: spy }))).toBe(
      failure,
    );
    expect(spy).not.toHaveBeenCalled();
  });

  it.each<[unknown, typeof TypeError | typeof RangeError, string]>([
    [-1, RangeError, "got -1"],
    [NaN, RangeError, "got NaN"],
    [Infinity, RangeError, "got Infinity"],
    [new Date(NaN), RangeError, "got "],
    [true, TypeError, "got true"],
    [{}, TypeError, "got "],
    [Promise.resolve(5), TypeError, "got "],
    [5n, TypeError, "got 5n"],
  ])("that returns %o ends the retrying with an error that quotes it", async (value, type, text) => {
    const scope = createScope();
    const error = await rejection(
      retry(scope, () => Promise.reject(failure), { delay: () => value as RetryDelay }),
    );
    expect(error).toBeInstanceOf(type);
    expect(String(error)).toContain("retry: delay must return ");
    expect(String(error)).toContain(text);
    expect(suppressed(error)).toEqual([failure]);
    expect(scope.errors).toEqual([]);
  });
});

describe.each(["retryIf", "delay", "onRetry"] as const)("%s of retry()", (name) => {
  it("rule 22: that throws ends the retrying: its error first, then that of the attempt", async () => {
    const scope = createScope();
    const thrown = new Error("thrown");
    const worker = vi.fn<() => Promise<never>>(() => Promise.reject(failure));
    const error = await rejection(
      retry(scope, worker, {
        [name]: () => {
          throw thrown;
        },
      }),
    );
    expect(error).toBe(thrown);
    expect(suppressed(error)).toEqual([failure]);
    expect(worker).toHaveBeenCalledTimes(1);
  });

  it("that throws the failure of the attempt again passes it on", async () => {
    const scope = createScope();
    const error = await rejection(
      retry(scope, () => Promise.reject(failure), {
        [name]: (given: unknown) => {
          throw given;
        },
      }),
    );
    expect(error).toBe(failure);
    expect(suppressed(error)).toEqual([]);
  });

  it("that cancels the scope ends the retrying: the reason, with the failure in its suppressed list", async () => {
    const scope = createScope();
    const worker = vi.fn<() => Promise<never>>(() => Promise.reject(failure));
    const result = rejection(
      retry(scope, worker, {
        [name]: () => {
          scope.cancel("stop");
          return name === "retryIf" ? true : undefined;
        },
      }),
    );
    expect(await result).toBe(scope.reason);
    expect(suppressed(scope.reason)).toEqual([failure]);
    expect(worker).toHaveBeenCalledTimes(1);
  });
});

describe("onRetry of retry()", () => {
  it("rule 22: may be async: the delay begins when its promise has resolved", async () => {
    const scope = createScope();
    const gate = deferred();
    let calls = 0;
    const result = retry(
      scope,
      async () => {
        if (++calls === 1) throw failure;
        return "done";
      },
      { onRetry: () => gate.promise, delay: () => 10 },
    );
    await vi.advanceTimersByTimeAsync(1_000);
    expect([calls, vi.getTimerCount()]).toEqual([1, 0]);
    gate.resolve();
    await vi.advanceTimersByTimeAsync(10);
    expect(await result).toBe("done");
  });

  it("whose promise rejects ends the retrying with that error", async () => {
    const scope = createScope();
    const thrown = new Error("no new token");
    const error = await rejection(
      retry(scope, () => Promise.reject(failure), { onRetry: () => Promise.reject(thrown) }),
    );
    expect(error).toBe(thrown);
    expect(suppressed(error)).toEqual([failure]);
  });

  it("rule 12: whose promise rejects with the abort of a client after a cancellation: the reason", async () => {
    const scope = createScope();
    const gate = deferred();
    const result = rejection(retry(scope, () => Promise.reject(failure), { onRetry: () => gate.promise }));
    await flush();
    scope.cancel();
    gate.reject(Object.assign(new Error("canceled"), { code: "ERR_CANCELED" }));
    expect(await result).toBe(scope.reason);
    expect(suppressed(scope.reason)).toEqual([failure]);
  });

  it("is awaited when the scope is cancelled during it, and there is no further attempt", async () => {
    const scope = createScope();
    const gate = deferred();
    const worker = vi.fn<() => Promise<never>>(() => Promise.reject(failure));
    const result = retry(scope, worker, { onRetry: () => gate.promise });
    void result.catch(() => undefined);
    await flush();
    scope.cancel();
    expect(await outcomeOf(result)).toBe("pending");
    gate.resolve();
    expect(await rejection(result)).toBe(scope.reason);
    expect(suppressed(scope.reason)).toEqual([failure]);
    expect(worker).toHaveBeenCalledTimes(1);
  });
});

describe.each(["retryIf", "delay", "onRetry"] as const)(
  "%s of retry() in a scope that it has cancelled",
  (name) => {
    it("rule 12: that throws the abort of a client: the reason, with the failure in its suppressed list", async () => {
      const scope = createScope();
      const result = rejection(
        retry(scope, () => Promise.reject(failure), {
          [name]: () => {
            scope.cancel("stop");
            throw Object.assign(new Error("canceled"), { code: "ERR_CANCELED" });
          },
        }),
      );
      expect(await result).toBe(scope.reason);
      expect(suppressed(scope.reason)).toEqual([failure]);
    });

    it("that throws another error: its error, then the failure of the attempt", async () => {
      const scope = createScope();
      const thrown = new Error("thrown");
      const result = rejection(
        retry(scope, () => Promise.reject(failure), {
          [name]: () => {
            scope.cancel("stop");
            throw thrown;
          },
        }),
      );
      expect(await result).toBe(thrown);
      expect(suppressed(thrown)).toEqual([failure]);
    });
  },
);

describe("retryIf of retry()", () => {
  it("that cancels the scope and refuses a retry: the failure, also if that looks like an abort", async () => {
    const scope = createScope();
    const error = new DOMException("aborted by the server", "AbortError");
    const result = rejection(
      retry(scope, () => Promise.reject(error), {
        retryIf: () => {
          scope.cancel("stop");
          return false;
        },
      }),
    );
    expect(await result).toBe(error);
  });

  it.each<unknown>([undefined, 1, "yes", Promise.resolve(false)])(
    "that returns %o is a TypeError",
    async (answer) => {
      const scope = createScope();
      const error = await rejection(
        retry(scope, () => Promise.reject(failure), { retryIf: () => answer as boolean }),
      );
      expect(error).toBeInstanceOf(TypeError);
      expect(String(error)).toContain("retry: retryIf must return a boolean, got ");
    },
  );
});

describe("the timeout of retry()", () => {
  const never = (own: Scope): Promise<never> => new Promise((_, reject) => own.onCancel(reject));

  it("rule 10: keeps the last failure, also if it passes in a later attempt", async () => {
    const scope = createScope();
    let calls = 0;
    const result = rejection(
      retry(scope, (own) => (++calls < 3 ? Promise.reject(new Error(`failure ${calls}`)) : never(own)), {
        timeout: 100,
        minDelay: 10,
        jitter: false,
        attempts: 5,
      }),
    );
    await vi.advanceTimersByTimeAsync(100);
    const reason = await result;
    expect(reason).toMatchObject({ kind: "deadline", timeout: 100 });
    expect(suppressed(reason).map(String)).toEqual(["Error: failure 2"]);
  });

  it("ends the attempt, and unlike attemptTimeout allows no further one", async () => {
    const scope = createScope();
    const worker = vi.fn<(own: Scope) => Promise<never>>(never);
    const result = rejection(
      retry(scope, worker, { timeout: 100, attemptTimeout: 60, minDelay: 0, jitter: false }),
    );
    await vi.advanceTimersByTimeAsync(100);
    expect(await result).toMatchObject({ kind: "deadline", timeout: 100 });
    expect(worker).toHaveBeenCalledTimes(2);
  });
});
