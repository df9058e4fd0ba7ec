import { describe, expect, it, vi } from "vitest";
import { deferred, flush, outcomeOf, rejection, type Deferred } from "../../test/support/deferred.js";
import {
  createScope,
  spawn,
  StuckTasksError,
  withScope,
  type ScopeHandle,
  type ScopeOptions,
  type TaskInfo,
} from "../index.js";
import { useFakeTime } from "../../test/support/fake-time.js";

useFakeTime();

/** A scope with a task that does not listen. */
function stuck(options: ScopeOptions): {
  readonly scope: ScopeHandle;
  readonly gate: Deferred<void>;
  readonly onError: ReturnType<typeof vi.fn<(error: unknown, task: TaskInfo) => void>>;
} {
  const onError = vi.fn<(error: unknown, task: TaskInfo) => void>();
  const scope = createScope({ name: "root", onError, ...options });
  const gate = deferred();
  spawn(scope, () => gate.promise, { name: "deaf" });
  return { scope, gate, onError };
}

describe("grace", () => {
  it("rule 17: when it runs out, a pending close() rejects with the stuck tasks, and the scope settles later", async () => {
    const { scope, gate, onError } = stuck({ grace: 100 });
    const closed = scope.close();
    const joined = scope.join();
    vi.advanceTimersByTime(99);
    expect(await outcomeOf(closed)).toBe("pending");
    vi.advanceTimersByTime(1);
    const error = await rejection(closed);
    expect(error).toBeInstanceOf(StuckTasksError);
    expect((error as StuckTasksError).tasks).toEqual([
      { name: "deaf", path: "root/deaf", status: "running", age: 100, waitingFor: "worker" },
    ]);
    expect(onError).not.toHaveBeenCalled();
    expect(scope.state).toBe("cancelling");
    expect(scope.errors).toEqual([]);
    gate.resolve();
    await joined;
    expect(scope.state).toBe("closed");
    await scope.close();
  });

  it("rule 17: without a pending close() onError receives it, once", async () => {
    const { scope, gate, onError } = stuck({ grace: 100 });
    const joined = scope.join();
    scope.cancel();
    vi.advanceTimersByTime(1000);
    expect(onError).toHaveBeenCalledOnce();
    expect(onError.mock.calls[0]?.[0]).toBeInstanceOf(StuckTasksError);
    gate.resolve();
    await joined;
    expect(onError).toHaveBeenCalledOnce();
  });

  it("rule 17: nothing is reported when everything has settled in time", async () => {
    const { scope, gate, onError } = stuck({ grace: 100 });
    const closed = scope.close();
    vi.advanceTimersByTime(99);
    gate.resolve();
    await closed;
    vi.advanceTimersByTime(100);
    expect(onError).not.toHaveBeenCalled();
  });

  it("rule 17: a stuck task is still observed: its failure counts", async () => {
    const { scope, gate } = stuck({ grace: 100 });
    const closed = scope.close();
    vi.advanceTimersByTime(100);
    expect(await rejection(closed)).toBeInstanceOf(StuckTasksError);
    const error = new Error("late");
    const again = scope.close();
    gate.reject(error);
    expect(await rejection(again)).toBe(error);
    expect(scope.errors).toEqual([error]);
  });

  it("rule 17: each close() has its own grace period, counted from the call; the option of the call takes precedence", async () => {
    const { scope, gate, onError } = stuck({ grace: 100 });
    const long = scope.close({ grace: 300 });
    vi.advanceTimersByTime(50);
    const short = scope.close({ grace: 10 });
    const plain = scope.close();
    vi.advanceTimersByTime(10);
    expect(await rejection(short)).toBeInstanceOf(StuckTasksError);
    vi.advanceTimersByTime(89);
    expect(await outcomeOf(plain)).toBe("pending");
    vi.advanceTimersByTime(1);
    expect(await rejection(plain)).toBeInstanceOf(StuckTasksError);
    gate.resolve();
    await long;
    expect(onError).not.toHaveBeenCalled();
  });

  it("rule 17: a disposal has a grace period, too", async () => {
    const { scope, gate } = stuck({ grace: 100 });
    const disposed = scope[Symbol.asyncDispose]();
    vi.advanceTimersByTime(100);
    expect(await rejection(disposed)).toBeInstanceOf(StuckTasksError);
    gate.resolve();
    await flush();
    expect(scope.state).toBe("closed");
  });

  it("rule 17: a cancellation anywhere below has the nearest one, a single task's included", async () => {
    const { scope, gate, onError } = stuck({ grace: 100 });
    const task = spawn(scope, () => gate.promise, { name: "alone" });
    task.cancel();
    vi.advanceTimersByTime(100);
    expect(onError).toHaveBeenCalledOnce();
    const error = onError.mock.calls[0]?.[0] as StuckTasksError;
    expect(error.tasks.map(({ path }) => path)).toEqual(["root/alone"]);
    gate.resolve();
    await scope.join();
  });

  it("rule 17: grace: 0 reports everything that has not ended in the same turn", async () => {
    const { scope, gate } = stuck({ grace: 0 });
    const closed = scope.close();
    expect(await outcomeOf(closed)).toBe("pending");
    vi.advanceTimersByTime(0);
    expect(await rejection(closed)).toBeInstanceOf(StuckTasksError);
    gate.resolve();
    await flush();
  });

  it("rule 5: close() awaited inside its own scope never ends, and the report shows that", async () => {
    const scope = createScope({ name: "root", grace: 100 });
    let error: unknown;
    spawn(scope, async function closer() {
      error = await rejection(scope.close());
    });
    expect(scope.cancelled).toBe(true);
    expect(await outcomeOf(scope.join())).toBe("pending");
    vi.advanceTimersByTime(100);
    await flush();
    expect((error as StuckTasksError).tasks.map(({ name }) => name)).toEqual(["closer"]);
    expect(scope.state).toBe("closed");
  });

  it("rule 17: a withScope that is stuck is reported to onError, and still ends", async () => {
    const onError = vi.fn<(error: unknown, task: TaskInfo) => void>();
    const gate = deferred<string>();
    const done = withScope({ grace: 100, timeout: 50, onError }, () => gate.promise);
    vi.advanceTimersByTime(150);
    expect(onError).toHaveBeenCalledOnce();
    gate.resolve("value");
    expect(await done).toBe("value");
  });
});
