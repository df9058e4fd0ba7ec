import { describe, expect, it, vi } from "vitest";
import { deferred, flush, outcomeOf, rejection } from "../../../test/support/deferred.js";
import { useFakeTime } from "../../../test/support/fake-time.js";
import { turnsWhile } from "../../../test/support/turns.js";
import { untilCancelled } from "../../../test/support/until-cancelled.js";
import {
  createScope,
  DeadlineExceededError,
  moveOnAfter,
  ScopeClosedError,
  shield,
  sleep,
  spawn,
  withScope,
  type Scope,
} from "../../index.js";

const unhandled = useFakeTime();

const failure = new Error("failure");

describe("moveOnAfter()", () => {
  it("resolves with the worker's value if it comes in time", async () => {
    const scope = createScope();
    expect(await moveOnAfter(scope, { timeout: 100 }, () => 1)).toBe(1);
    const later = moveOnAfter(scope, { timeout: 100 }, async (own) => {
      await sleep(own, 99);
      return 2;
    });
    await vi.advanceTimersByTimeAsync(99);
    expect(await later).toBe(2);
    expect(scope.errors).toEqual([]);
  });

  it("rule 22: resolves with undefined at its own time limit, and the scope continues", async () => {
    const scope = createScope();
    let seen: unknown;
    const result = moveOnAfter(scope, { timeout: 100 }, (own) => {
      own.onCancel((reason) => (seen = reason));
      return sleep(own, 1_000);
    });
    await vi.advanceTimersByTimeAsync(100);
    expect(await result).toBeUndefined();
    expect(seen).toBeInstanceOf(DeadlineExceededError);
    expect([scope.state, scope.errors]).toEqual(["open", []]);
    await scope.join(); // not cut short
  });

  it("accepts a deadline, and uses the earlier of timeout and deadline", async () => {
    const scope = createScope();
    const results = [
      moveOnAfter(scope, { deadline: Date.now() + 50 }, (own) => sleep(own, 1_000)),
      moveOnAfter(scope, { deadline: new Date(Date.now() + 50), timeout: 1_000 }, (own) => sleep(own, 1_000)),
      moveOnAfter(scope, { deadline: Date.now() + 1_000, timeout: 50 }, (own) => sleep(own, 1_000)),
    ];
    const late = moveOnAfter(scope, { timeout: Infinity }, (own) => sleep(own, 51));
    await vi.advanceTimersByTimeAsync(50);
    expect(await Promise.all(results)).toEqual([undefined, undefined, undefined]);
    expect(await outcomeOf(late)).toBe("pending");
    await vi.advanceTimersByTimeAsync(1);
    await late;
  });

  it.each([{ timeout: 0 }, { deadline: 0 }, { timeout: 10, deadline: new Date(0) }])(
    "rule 17: does not call the worker with %o",
    async (options) => {
      const worker = vi.fn<() => number>(() => 1);
      expect(await moveOnAfter(createScope({ onOrphan: "ignore" }), options, worker)).toBeUndefined();
      expect(worker).not.toHaveBeenCalled();
    },
  );

  it("rule 15: resolves with a value that came in the same tick as its time limit", async () => {
    const scope = createScope();
    const inTime = moveOnAfter(scope, { timeout: 100 }, async (own) => {
      await new Promise((resolve) => setTimeout(resolve, 100)); // set after the timer of the limit: fires after it
      return own.reason;
    });
    await vi.advanceTimersByTimeAsync(100);
    expect(await inTime).toBeInstanceOf(DeadlineExceededError);
    const swallowed = moveOnAfter(scope, { timeout: 100 }, async (own) => {
      await sleep(own, 1_000).catch(() => undefined);
      return "nevertheless";
    });
    await vi.advanceTimersByTimeAsync(100);
    expect(await swallowed).toBe("nevertheless");
  });

  it("rule 15: has no value if a task of the worker was cut short", async () => {
    const scope = createScope();
    const result = moveOnAfter(scope, { timeout: 100 }, (own) => {
      spawn(own, (task) => sleep(task, 1_000));
      return "value";
    });
    await vi.advanceTimersByTimeAsync(100);
    expect(await result).toBeUndefined();
  });

  it("waits for everything in it before it moves on", async () => {
    const scope = createScope();
    const gate = deferred();
    const result = moveOnAfter(scope, { timeout: 100 }, (own) => {
      own.defer(() => gate.promise);
      return untilCancelled(own);
    });
    await vi.advanceTimersByTimeAsync(100);
    expect(await outcomeOf(result)).toBe("pending");
    gate.resolve();
    expect(await result).toBeUndefined();
  });

  it("waits for a worker that ignores its signal", async () => {
    const scope = createScope();
    const result = moveOnAfter(scope, { timeout: 100 }, () => new Promise<never>(() => undefined));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await outcomeOf(result)).toBe("pending");
  });

  it("rejects with a failure, also with one after the time was up", async () => {
    const scope = createScope();
    expect(await rejection(moveOnAfter(scope, { timeout: 100 }, () => Promise.reject(failure)))).toBe(
      failure,
    );
    const workers: ((own: Scope) => Promise<unknown>)[] = [
      (own) => sleep(own, 1_000).catch(() => Promise.reject(failure)),
      (own) => {
        own.defer(() => Promise.reject(failure));
        return sleep(own, 1_000);
      },
      async (own) => {
        own.onCancel(() => {
          throw failure;
        });
        return sleep(own, 1_000);
      },
    ];
    for (const worker of workers) {
      const result = rejection(moveOnAfter(scope, { timeout: 100 }, worker));
      await vi.advanceTimersByTimeAsync(100);
      expect(await result).toBe(failure);
    }
    expect(scope.errors).toEqual([]);
  });

  it("fails if a cleanup throws the deadline itself", async () => {
    const scope = createScope();
    const result = rejection(
      moveOnAfter(scope, { timeout: 100 }, (own) => {
        own.defer(() => own.throwIfCancelled());
        return sleep(own, 1_000);
      }),
    );
    await vi.advanceTimersByTimeAsync(100);
    expect(await result).toBeInstanceOf(DeadlineExceededError);
  });

  it("rule 22: rejects with the reason when another cause cancels it", async () => {
    const scope = createScope();
    const outer = rejection(moveOnAfter(scope, { timeout: 100 }, (own) => sleep(own, 1_000)));
    scope.cancel("stop");
    expect(await outer).toBe(scope.reason);

    const other = createScope();
    let own!: Scope;
    const itself = rejection(
      moveOnAfter(other, { timeout: 100 }, (entered) => {
        own = entered;
        own.cancel("enough");
        return sleep(own, 1_000);
      }),
    );
    expect(await itself).toBe(own.reason);
    expect(own.reason?.cause).toBe("enough");
  });

  it("keeps its own outcome when it is cancelled from above during its cleanup", async () => {
    const scope = createScope();
    const gate = deferred();
    const result = moveOnAfter(scope, { timeout: 100 }, (own) => {
      own.defer(() => gate.promise);
      return sleep(own, 1_000);
    });
    await vi.advanceTimersByTimeAsync(100);
    scope.cancel();
    const closed = scope.close();
    expect(await outcomeOf(closed)).toBe("pending"); // the parent waits
    gate.resolve();
    expect(await result).toBeUndefined();
    await closed;
  });

  it("keeps the first reason when it is cancelled from above, and its time is up afterwards", async () => {
    const scope = createScope();
    const gate = deferred();
    const result = rejection(
      moveOnAfter(scope, { timeout: 100 }, (own) => {
        own.defer(() => gate.promise);
        return sleep(own, 1_000);
      }),
    );
    scope.cancel();
    await vi.advanceTimersByTimeAsync(100);
    gate.resolve();
    expect(await result).toBe(scope.reason);
  });

  it.each([50, 100])(
    "rule 22: rejects with a deadline of the parent that is earlier or the same: %d ms",
    async (timeout) => {
      const outcome = rejection(
        withScope({ timeout }, (scope) => moveOnAfter(scope, { timeout: 100 }, (own) => sleep(own, 1_000))),
      );
      await vi.advanceTimersByTimeAsync(100);
      const reason = (await outcome) as DeadlineExceededError;
      expect(reason).toBeInstanceOf(DeadlineExceededError);
      expect(reason.timeout).toBe(timeout);
    },
  );

  it("rejects with the reason when an outer moveOnAfter() cancels it", async () => {
    const scope = createScope();
    let inner: Promise<unknown> | undefined;
    const outer = moveOnAfter(scope, { timeout: 50 }, async (own) => {
      inner = rejection(moveOnAfter(own, { timeout: 100 }, (innermost) => sleep(innermost, 1_000)));
      await inner;
      own.throwIfCancelled();
    });
    await vi.advanceTimersByTimeAsync(50);
    expect(await outer).toBeUndefined();
    expect(await inner).toMatchObject({ kind: "deadline", timeout: 50 });
  });

  it("rejects with the timeout of an inner call, which is not its own time limit", async () => {
    const scope = createScope();
    const result = rejection(
      moveOnAfter(scope, { timeout: 100 }, (own) =>
        withScope(own, { timeout: 10 }, (inner) => sleep(inner, 1_000)),
      ),
    );
    await vi.advanceTimersByTimeAsync(10);
    expect(await result).toMatchObject({ kind: "deadline", timeout: 10 });
  });

  it("moves on when the worker rejects with a client's abort error at the time limit", async () => {
    const scope = createScope();
    const result = moveOnAfter(
      scope,
      { timeout: 100 },
      ({ signal }) =>
        new Promise<string>((_, reject) => {
          signal.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")));
        }),
    );
    await vi.advanceTimersByTimeAsync(100);
    expect(await result).toBeUndefined();
  });

  it("works inside a shield after the outer scope was cancelled", async () => {
    const scope = createScope();
    const gate = deferred();
    const result = shield(scope, { timeout: 1_000 }, async (own) => {
      await gate.promise;
      return moveOnAfter(own, { timeout: 10 }, (inner) => sleep(inner, 500));
    });
    scope.cancel();
    gate.resolve();
    await vi.advanceTimersByTimeAsync(10);
    expect(await result).toBeUndefined();
  });

  it("rejects with the reason in a cancelled scope, and with ScopeClosedError in a scope that has ended", async () => {
    const worker = vi.fn<() => void>();
    const scope = createScope();
    scope.cancel();
    expect(await rejection(moveOnAfter(scope, { timeout: 100 }, worker))).toBe(scope.reason);
    const closed = createScope();
    await closed.close();
    expect(await rejection(moveOnAfter(closed, { timeout: 100 }, worker))).toBeInstanceOf(ScopeClosedError);
    expect(worker).not.toHaveBeenCalled();
  });

  it("rejects with the reason when it is called by a listener of the cancellation", async () => {
    const scope = createScope();
    const worker = vi.fn<() => void>();
    const results: Promise<unknown>[] = [];
    scope.signal.addEventListener("abort", () => {
      results.push(rejection(moveOnAfter(scope, { timeout: 100 }, worker)));
    });
    scope.onCancel(() => void results.push(rejection(moveOnAfter(scope, { timeout: 100 }, worker))));
    scope.cancel();
    expect(await Promise.all(results)).toEqual([scope.reason, scope.reason]);
    expect(worker).not.toHaveBeenCalled();
  });

  it("has the name of its worker, or that of the option", async () => {
    const scope = createScope({ name: "root" });
    const paths: string[] = [];
    await moveOnAfter(scope, { timeout: 1 }, function rates(own) {
      paths.push(own.path);
    });
    await moveOnAfter(scope, { timeout: 1, name: "quick" }, (own) => void paths.push(own.path));
    expect(paths).toEqual(["root/rates", "root/quick"]);
  });

  it("rule 11: need not be awaited when its time limit passes, but must be awaited for a failure", async () => {
    const scope = createScope();
    void moveOnAfter(scope, { timeout: 10 }, (own) => sleep(own, 1_000));
    void moveOnAfter(scope, { timeout: 1_000 }, (own) => sleep(own, 500));
    await vi.advanceTimersByTimeAsync(10);
    scope.cancel();
    await flush();
    expect(unhandled).toEqual([]);
    void moveOnAfter(createScope({ onOrphan: "ignore" }), { timeout: 10 }, () => Promise.reject(failure));
    await flush();
    expect(unhandled.splice(0)).toEqual([failure]);
  });

  it("rule 13: a loop whose time is up lets other code run", async () => {
    const scope = createScope();
    expect(await turnsWhile(() => moveOnAfter(scope, { timeout: 0 }, () => undefined))).toBe(3);
  });
});
