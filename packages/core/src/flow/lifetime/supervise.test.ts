import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { deferred, flush, rejection, thrown } from "../../../test/support/deferred.js";
import { untilCancelled } from "../../../test/support/until-cancelled.js";
import { createScope, ScopeClosedError, supervise, withScope, type Scope } from "../../index.js";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
  vi.spyOn(Math, "random").mockReturnValue(1);
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** Lets `delays` pass, one after the other. */
async function pass(...delays: readonly number[]): Promise<void> {
  for (const delay of delays) {
    await flush();
    vi.advanceTimersByTime(delay);
  }
  await flush();
}

describe("supervise()", () => {
  it("starts the worker synchronously, as a task called after it, in scopes called after the run", async () => {
    const paths: string[] = [];
    await withScope({ name: "root" }, async (scope) => {
      const task = supervise(scope, function poller(own) {
        paths.push(own.path);
        return "done";
      });
      expect(paths).toEqual(["root/poller/#1"]);
      expect(task.path).toBe("root/poller");
      expect(await task).toBe("done");
    });
  });

  it("restarts a worker that fails, after delays that double, and calls onRestart", async () => {
    const scope = createScope();
    const failures = [new Error("1"), new Error("2")];
    const log: unknown[] = [];
    let runs = 0;
    const task = supervise(
      scope,
      async () => {
        const failure = failures[runs++];
        if (failure !== undefined) throw failure;
        return "done";
      },
      { onRestart: (error, restarts) => void log.push([error, restarts]) },
    );
    await flush();
    expect(log).toEqual([[failures[0], 1]]);
    expect(runs).toBe(1);
    await pass(99);
    expect(runs).toBe(1);
    await pass(1);
    expect(runs).toBe(2);
    await pass(199);
    expect(runs).toBe(2);
    await pass(1);
    expect(await task).toBe("done");
    expect(log).toHaveLength(2);
    expect(scope.errors).toEqual([]);
    await scope.close();
  });

  it("rule 22: fails with the last error itself after maxRestarts, and its scope receives it", async () => {
    const scope = createScope();
    const failures = [new Error("1"), new Error("2"), new Error("3")];
    let runs = 0;
    const task = supervise(scope, () => Promise.reject(failures[runs++]), { maxRestarts: 2, minDelay: 0 });
    const [outcome, joined] = [rejection(task), rejection(scope.join())];
    await pass(0, 0, 0);
    expect(await outcome).toBe(failures[2]);
    expect(runs).toBe(3);
    expect(scope.errors).toEqual([failures[2]]);
    expect(scope.reason).toMatchObject({ kind: "failure" });
    expect(await joined).toBe(failures[2]);
  });

  it("rule 22: forgets restarts that are older than the window", async () => {
    const scope = createScope();
    let runs = 0;
    const gates = Array.from({ length: 10 }, () => deferred());
    const task = supervise(
      scope,
      async () => {
        await gates[runs++]?.promise;
        throw new Error("crash");
      },
      { maxRestarts: 1, window: 1_000, minDelay: 10 },
    );
    const joined = rejection(scope.join());
    for (let run = 0; run < 5; run++) {
      vi.advanceTimersByTime(1_000);
      gates[run]?.resolve();
      await pass(10); // the delay is the first one each time
    }
    expect(runs).toBe(6);
    gates[5]?.resolve();
    const error = await rejection(task);
    expect(await joined).toBe(error);
  });

  it("forgets a restart as soon as the window is over", async () => {
    const scope = createScope();
    let runs = 0;
    const crash = (): string => {
      if (++runs === 5) return "done";
      throw new Error("crash");
    };
    const task = supervise(scope, crash, { maxRestarts: 1, window: 100, minDelay: 100 });
    await pass(100, 100, 100, 100);
    expect(await task).toBe("done");
    await scope.close();
  });

  it("waits for everything that a run has started before it starts the next run", async () => {
    const scope = createScope();
    const cleaned = deferred();
    let runs = 0;
    const task = supervise(
      scope,
      (own) => {
        runs += 1;
        if (runs === 2) return "done";
        own.defer(() => cleaned.promise);
        throw new Error("crash");
      },
      { minDelay: 0 },
    );
    await pass(0, 0);
    expect(runs).toBe(1);
    cleaned.resolve();
    await pass(0);
    expect(await task).toBe("done");
    await scope.close();
  });

  it("fails when no restart is allowed, and with the error that onRestart throws", async () => {
    const [failure, bug] = [new Error("crash"), new Error("bug")];
    const crash = (): Promise<never> => Promise.reject(failure);
    expect(await rejection(withScope((scope) => supervise(scope, crash, { maxRestarts: 0 })))).toBe(failure);
    const onRestart = (): void => {
      throw bug;
    };
    expect(await rejection(withScope((scope) => supervise(scope, crash, { onRestart })))).toBe(bug);
  });

  it("awaits the promise of onRestart before the delay, and fails with its rejection", async () => {
    const scope = createScope();
    const [gate, bug] = [deferred(), new Error("bug")];
    let runs = 0;
    const task = supervise(scope, () => Promise.reject(new Error(`${++runs}`)), {
      onRestart: (_, restarts) => (restarts === 1 ? gate.promise : Promise.reject(bug)),
    });
    const joined = rejection(scope.join());
    await flush();
    expect([runs, vi.getTimerCount()]).toEqual([1, 0]);
    gate.resolve();
    await pass(0, 100);
    expect(await rejection(task)).toBe(bug);
    expect([runs, task.status]).toEqual([2, "failed"]);
    expect(await joined).toBe(bug);
  });

  it("rule 12: an onRestart that was aborted by a cancellation does not make the task fail", async () => {
    const scope = createScope();
    const gate = deferred();
    const task = supervise(scope, () => Promise.reject(new Error("crash")), {
      onRestart: () => gate.promise,
    });
    await flush();
    scope.cancel();
    gate.reject(Object.assign(new Error("canceled"), { code: "ERR_CANCELED" }));
    expect(await rejection(task)).toBe(scope.reason);
    expect([task.status, scope.errors]).toEqual(["cancelled", []]);
  });

  it("rule 12: an onRestart that fails after a cancellation makes the task fail", async () => {
    const scope = createScope({ supervise: true, onError: () => undefined });
    const gate = deferred();
    const task = supervise(scope, () => Promise.reject(new Error("crash")), {
      onRestart: () => gate.promise,
    });
    await flush();
    task.cancel();
    const bug = new Error("bug");
    gate.reject(bug);
    expect(await rejection(task)).toBe(bug);
    expect(task.status).toBe("failed");
  });

  it("is cancelled while the worker runs, and during a delay, and restarts nothing then", async () => {
    const scope = createScope();
    let runs = 0;
    const running = supervise(scope, (own) => {
      runs += 1;
      return untilCancelled(own);
    });
    const delayed = supervise(scope, () => {
      runs += 1;
      throw new Error("crash");
    });
    await flush();
    expect(vi.getTimerCount()).toBe(1);
    scope.cancel();
    expect(await rejection(running)).toBe(scope.reason);
    expect(await rejection(delayed)).toBe(scope.reason);
    expect([runs, vi.getTimerCount()]).toEqual([2, 0]);
    expect([running.status, delayed.status]).toEqual(["cancelled", "cancelled"]);
  });

  it("rule 11: fails with the last failure if it is cancelled before the restart", async () => {
    const statuses = new Set<string>();
    for (let moment = 0; moment < 12; moment++) {
      const scope = createScope();
      const failure = new Error("crash");
      const told: unknown[] = [];
      const task = supervise(scope, () => Promise.reject(failure), {
        onRestart: (error) => void told.push(error),
      });
      for (let turns = 0; turns < moment; turns++) await Promise.resolve();
      const closed = scope.close().then(
        () => undefined,
        (reason: unknown) => reason,
      );
      const toldBefore = told.length;
      const error = await rejection(task);
      statuses.add(task.status);
      expect(told).toHaveLength(toldBefore);
      expect(error === failure).toBe(told.length === 0);
      expect(await closed).toBe(told.length === 0 ? failure : undefined);
    }
    expect(statuses).toEqual(new Set(["failed", "cancelled"]));
  });

  it("rule 22: is cancelled when the worker cancels itself", async () => {
    const scope = createScope();
    let runs = 0;
    const task = supervise(scope, (own) => {
      runs += 1;
      own.cancel("enough");
      return untilCancelled(own);
    });
    expect(await rejection(task)).toMatchObject({ kind: "explicit", cause: "enough" });
    expect([task.status, runs, scope.cancelled]).toEqual(["cancelled", 1, false]);
    await scope.join();
  });

  it("starts cancelled in a cancelled scope, and throws in a scope that has ended", async () => {
    const scope = createScope();
    scope.cancel();
    let runs = 0;
    const task = supervise(scope, () => (runs += 1));
    expect(await rejection(task)).toBe(scope.reason);
    expect(runs).toBe(0);
    const closed = createScope();
    await closed.close();
    expect(thrown(() => supervise(closed, () => 1))).toBeInstanceOf(ScopeClosedError);
  });

  it.each<[string, unknown, unknown, typeof Error]>([
    ["no function", 1, undefined, TypeError],
    ["options that are none", () => 1, null, TypeError],
    ["negative restarts", () => 1, { maxRestarts: -1 }, RangeError],
    ["a negative window", () => 1, { window: -1 }, RangeError],
    ["a negative delay", () => 1, { minDelay: -1 }, RangeError],
    ["an onRestart that is no function", () => 1, { onRestart: 1 }, TypeError],
  ])("throws for %s", (_, worker, options, type) => {
    expect(thrown(() => supervise({} as Scope, worker as never, options as never))).toBeInstanceOf(type);
  });
});
