import { beforeEach, describe, expect, it, vi } from "vitest";
import { deferred, flush, outcomeOf, rejection } from "../../test/support/deferred.js";
import { useFakeTime } from "../../test/support/fake-time.js";
import {
  background,
  createScope,
  shield,
  sleep,
  spawn,
  StuckTasksError,
  withScope,
  type Scope,
  type TaskInfo,
} from "../index.js";

const unhandled = useFakeTime();

const failure = new Error("failure");
const never = (own: Scope): Promise<unknown> => sleep(own, 1_000_000);
const onError = vi.fn<(error: unknown, task: TaskInfo) => void>();
beforeEach(() => void onError.mockReset());
/** The errors that `onError` has received, and where they come from. */
const received = (): unknown[] => onError.mock.calls.map(([error, { path }]) => [error, path]);

describe("the signal of a task", () => {
  it("cancels the task when it aborts, with kind signal, and neither the scope nor a sibling", async () => {
    const scope = createScope();
    const controller = new AbortController();
    const task = spawn(scope, never, { signal: controller.signal });
    const sibling = spawn(scope, never);
    controller.abort("stop");
    expect(await rejection(task)).toMatchObject({ kind: "signal", cause: "stop" });
    expect(task.status).toBe("cancelled");
    expect([sibling.status, scope.state]).toEqual(["running", "open"]);
    await scope.close();
  });

  it("keeps the worker from being called if it has aborted already", async () => {
    const scope = createScope();
    const worker = vi.fn<() => void>();
    const task = spawn(scope, worker, { signal: AbortSignal.abort("before") });
    expect(task.status).toBe("cancelled");
    expect(await rejection(task)).toMatchObject({ kind: "signal", cause: "before" });
    expect(worker).not.toHaveBeenCalled();
    await scope.join();
  });

  it("removes a queued task from its queue", async () => {
    const scope = createScope({ concurrency: 1 });
    const gate = deferred();
    spawn(scope, () => gate.promise);
    const controller = new AbortController();
    const worker = vi.fn<() => void>();
    const queued = spawn(scope, worker, { signal: controller.signal });
    const next = spawn(scope, () => "next");
    controller.abort();
    expect(queued.status).toBe("cancelled");
    gate.resolve();
    expect(await next).toBe("next");
    expect(worker).not.toHaveBeenCalled();
    await scope.join();
  });

  it("rule 15: keeps a value that the worker has returned", async () => {
    const scope = createScope();
    const controller = new AbortController();
    const task = spawn(
      scope,
      () => {
        controller.abort();
        return "value";
      },
      { signal: controller.signal },
    );
    expect(await task).toBe("value");
    await scope.join();
  });

  it("rule 14: has no listener left when the task has settled, however it settled", async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const add = vi.spyOn(signal, "addEventListener");
    const remove = vi.spyOn(signal, "removeEventListener");
    const scope = createScope({ supervise: true, onError });
    const tasks = [
      spawn(scope, () => 1, { signal }),
      spawn(scope, () => Promise.reject(failure), { signal }),
      spawn(scope, never, { signal }),
    ];
    tasks[2]?.cancel();
    await Promise.allSettled(tasks);
    expect(add.mock.calls.length).toBe(remove.mock.calls.length);
    await scope.close();
  });

  it("aborts in a cleanup of the task: only the task is cancelled, once", async () => {
    const scope = createScope();
    const controller = new AbortController();
    const task = spawn(
      scope,
      (own) => {
        own.defer(() => controller.abort());
        return "value";
      },
      { signal: controller.signal },
    );
    expect(await task).toBe("value");
    expect(scope.state).toBe("open");
    await scope.join();
  });
});

describe("the grace of a task", () => {
  it("rule 17: reports stuck work in the task, also if only the task was cancelled", async () => {
    const scope = createScope({ name: "root", onError });
    const gate = deferred();
    const task = spawn(scope, () => gate.promise, { name: "job", grace: 100 });
    task.cancel();
    await vi.advanceTimersByTimeAsync(99);
    expect(onError).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    const [[error]] = onError.mock.calls as unknown as [[StuckTasksError]];
    expect(error).toBeInstanceOf(StuckTasksError);
    expect(error.tasks.map(({ path }) => path)).toEqual(["root/job"]);
    gate.resolve();
    await scope.join();
  });

  it("rule 17: the nearest counts, and a task that ends in time is not reported", async () => {
    const scope = createScope({ grace: 10, onError });
    const gate = deferred();
    const quick = spawn(scope, (own) => never(own), { grace: 1_000 });
    const slow = spawn(scope, () => gate.promise, { grace: 100 });
    quick.cancel();
    slow.cancel();
    await vi.advanceTimersByTimeAsync(50);
    expect(onError).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(50);
    expect(onError).toHaveBeenCalledTimes(1);
    gate.resolve();
    await scope.join();
  });
});

describe("the onError of a task", () => {
  it("rule 11: receives a failure below that has no other receiver", async () => {
    const scope = createScope({ name: "root" });
    await spawn(
      scope,
      async (own) => {
        spawn(own, () => Promise.reject(failure), { name: "child" });
        await flush();
      },
      { name: "task", supervise: true, onError },
    );
    expect(received()).toEqual([[failure, "root/task/child"]]);
    await scope.join();
    expect(scope.errors).toEqual([]);
  });

  it("rule 11: receives the failure of the task itself where the scope supervises and the task is not awaited", async () => {
    const above = vi.fn<() => void>();
    const scope = createScope({ name: "root", supervise: true, onError: above });
    spawn(scope, () => Promise.reject(failure), { name: "task", onError });
    await flush();
    expect(received()).toEqual([[failure, "root/task"]]);
    expect(above).not.toHaveBeenCalled();
    const awaited = spawn(scope, () => Promise.reject(failure), { onError });
    expect(await rejection(awaited)).toBe(failure);
    expect(onError).toHaveBeenCalledTimes(1);
    await scope.close();
  });

  it("rule 11: receives the failure of a task of the background", async () => {
    spawn(background, () => Promise.reject(failure), { name: "task", onError });
    await flush();
    expect(received()).toEqual([[failure, "task"]]);
  });

  it("rule 11: does not receive a failure that the scope receives", async () => {
    const scope = createScope();
    spawn(scope, () => Promise.reject(failure), { onError });
    expect(await rejection(scope.join())).toBe(failure);
    expect(onError).not.toHaveBeenCalled();
  });

  it("does not count as a receiver if it throws: both errors are unhandled rejections", async () => {
    const thrown = new Error("thrown by onError");
    spawn(background, () => Promise.reject(failure), {
      onError: () => {
        throw thrown;
      },
    });
    await flush();
    expect(unhandled.splice(0)).toEqual([failure, thrown]);
  });

  it("rule 14: receives the error of a late callback in a task that started cancelled", async () => {
    const scope = createScope();
    const gate = deferred();
    let view!: Scope;
    spawn(
      scope,
      (own) => {
        view = own;
        return gate.promise;
      },
      { onError },
    );
    scope.cancel();
    gate.resolve();
    await scope.close();
    view.onCancel(() => {
      throw failure;
    });
    expect(received()).toEqual([[failure, "anonymous/anonymous"]]);
  });
});

describe("the isCancellation of a task", () => {
  it("rule 12: isCancellation says which errors count as the cancellation, in the task and below", async () => {
    class Aborted extends Error {}
    const scope = createScope();
    const isCancellation = vi.fn<(error: unknown) => boolean>((error) => error instanceof Aborted);
    const rejects = (own: Scope): Promise<never> =>
      new Promise((_, reject) => own.onCancel(() => reject(new Aborted())));
    const task = spawn(
      scope,
      async (own) => {
        spawn(own, rejects);
        return rejects(own);
      },
      { isCancellation },
    );
    task.cancel();
    const outcome = await rejection(task);
    expect(outcome).toMatchObject({ kind: "explicit" });
    expect(isCancellation).toHaveBeenCalledTimes(2);
    const other = spawn(scope, rejects);
    other.cancel();
    expect(await rejection(scope.join())).toBeInstanceOf(Aborted); // it holds for that task only
  });
});

describe("an option that a task shares with a scope", () => {
  it("does not stop the work in a shield", async () => {
    const scope = createScope();
    const controller = new AbortController();
    const gate = deferred();
    const task = spawn(
      scope,
      (own) => shield(own, { timeout: 1_000 }, () => gate.promise.then(() => "saved")),
      { signal: controller.signal },
    );
    controller.abort();
    expect(await outcomeOf(task)).toBe("pending");
    gate.resolve();
    expect(await task).toBe("saved");
    await scope.join();
  });

  it("a task that starts cancelled takes no signal", async () => {
    const { signal } = new AbortController();
    const add = vi.spyOn(signal, "addEventListener");
    const scope = createScope();
    scope.cancel();
    const outcome = rejection(spawn(scope, never, { signal, grace: 1, onError }));
    expect(await outcome).toBe(scope.reason);
    expect(add).not.toHaveBeenCalled();
    expect(await rejection(withScope(scope, never))).toBe(scope.reason);
  });
});
