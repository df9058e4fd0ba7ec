import { describe, expect, it, vi } from "vitest";
import { deferred, flush, rejection } from "../../test/support/deferred.js";
import { createScope, select, spawn, withScope, type Scope } from "../index.js";

const error = new Error("boom");

const untilCancelled = (scope: Scope): Promise<never> =>
  new Promise((_, reject) => scope.onCancel((reason) => reject(reason)));

describe("Task", () => {
  it("is a thenable for all of the language's uses of one", async () => {
    const scope = createScope({ supervise: true });
    const onFinally = vi.fn<() => void>();
    const task = spawn(scope, async () => 1);
    expect(await task).toBe(1);
    expect(await Promise.all([task, spawn(scope, () => 2)])).toEqual([1, 2]);
    expect(await Promise.race([task, new Promise(() => undefined)])).toBe(1);
    expect(await task.then((value) => value + 1)).toBe(2);
    expect(await task.then(undefined)).toBe(1);
    expect(await task.finally(onFinally)).toBe(1);
    const failing = spawn(scope, () => Promise.reject(error));
    expect(await failing.catch((caught: unknown) => caught)).toBe(error);
    expect(await failing.then(undefined, (caught: unknown) => caught)).toBe(error);
    expect(await rejection(failing.finally(onFinally))).toBe(error);
    expect(onFinally).toHaveBeenCalledTimes(2);
    expect(Object.prototype.toString.call(task)).toBe("[object Task]");
    await scope.join();
  });

  it("calls back asynchronously, in the order of the calls, before and after it has settled", async () => {
    const log: string[] = [];
    const scope = createScope();
    const task = spawn(scope, () => 1);
    void task.then(() => log.push("first"));
    void task.then(() => log.push("second"));
    log.push("sync");
    await flush();
    expect(log).toEqual(["sync", "first", "second"]);
    await scope.join();
  });

  it("calls back before the scope does that ends with it", async () => {
    const log: string[] = [];
    const gate = deferred();
    const whole = withScope(async (scope) => {
      const task = spawn(scope, () => gate.promise);
      void task.then(() => log.push("the task"), String);
    });
    void whole.then(() => log.push("the scope"));
    await flush();
    gate.resolve();
    await whole;
    await flush();
    expect(log).toEqual(["the task", "the scope"]);
  });

  it("resumes the code that awaits it in order, also if its worker has returned before its children", async () => {
    const log: string[] = [];
    const gate = deferred();
    const scope = createScope();
    const task = spawn(scope, async (own) => {
      spawn(own, () => gate.promise);
      await Promise.resolve();
      return "value";
    });
    const note = (name: string) => async (): Promise<void> => void log.push(`${name}: ${await task}`);
    const awaits = [note("before")()];
    await flush();
    expect([task.status, log]).toEqual(["running", []]);
    awaits.push(note("after")());
    await flush();
    expect(log).toEqual([]);
    gate.resolve();
    await Promise.all(awaits);
    expect(log).toEqual(["before: value", "after: value"]);
    await scope.join();
  });

  it.each([
    ["succeeds", false, false, [1, 3, 4, 6, 7, 8]],
    ["succeeds after its worker", false, true, [1, 3, 4, 6, 7, 8]],
    ["fails", true, false, [1, 2, 4, 5, 6, 7, 8]],
    ["fails after its worker", true, true, [1, 2, 4, 5, 6, 7, 8]],
  ])("rule 11: calls back in the order of the calls, by whichever method, if it %s", async (...row) => {
    const [, fails, hasChild, order] = row;
    const scope = createScope({ supervise: true });
    const gate = deferred();
    const end = (): Promise<void> => gate.promise.then(() => (fails ? Promise.reject(error) : undefined));
    const task = spawn(scope, hasChild ? async (own) => void spawn(own, end) : end);
    const log: number[] = [];
    const note = (number: number) => (): void => void log.push(number);
    const asked = Promise.allSettled([
      task.then(note(1), note(1)),
      task.catch(note(2)),
      task.then(note(3)),
      task.finally(note(4)),
      task.then(undefined, note(5)),
      select(scope, { task }),
      task.then(note(6), note(6)),
      (async () => await task)().finally(note(8)),
      task.finally(note(7)),
    ]);
    await flush();
    expect(log).toEqual([]);
    gate.resolve();
    await asked;
    expect(log).toEqual(order);
    await scope.join();
  });

  it("rejects with the failure of a child that outlives the worker, for those that awaited it before", async () => {
    const scope = createScope({ supervise: true });
    const gate = deferred();
    const task = spawn(scope, async (own) => {
      spawn(own, () => gate.promise);
    });
    const outcomes = Promise.all([
      rejection(Promise.all([task, task])),
      task.then(String, (thrown) => thrown),
    ]);
    await flush();
    gate.reject(error);
    expect(await outcomes).toEqual([error, error]);
    await scope.join();
  });

  it("rejects with the reason if it is cancelled while it is awaited, when its worker has settled", async () => {
    const scope = createScope({ supervise: true });
    const gate = deferred();
    const task = spawn(scope, async (own) => {
      await gate.promise;
      own.throwIfCancelled();
    });
    let caught: unknown;
    const awaiting = rejection(Promise.all([task, task])).then((reason) => void (caught = reason));
    await flush();
    task.cancel("enough");
    await flush();
    expect(caught).toBeUndefined();
    gate.resolve();
    await awaiting;
    expect(caught).toMatchObject({ kind: "explicit", cause: "enough" });
    await scope.join();
  });

  it("status goes from queued to running to one of three ends", async () => {
    const scope = createScope({ concurrency: 1, supervise: true });
    const gate = deferred();
    const first = spawn(scope, () => gate.promise);
    const second = spawn(scope, () => Promise.reject(error));
    const third = spawn(scope, untilCancelled);
    expect([first, second, third].map(({ status }) => status)).toEqual(["running", "queued", "queued"]);
    gate.resolve();
    await rejection(second);
    await flush();
    expect(third.status).toBe("running");
    third.cancel();
    await rejection(third);
    expect([first, second, third].map(({ status }) => status)).toEqual(["succeeded", "failed", "cancelled"]);
    await scope.join();
  });

  it("rule 13: cancel() cancels only the task and everything below it, and returns whether it did", async () => {
    const scope = createScope();
    let below!: Scope;
    const task = spawn(scope, (inner) => {
      below = createScope(inner);
      return untilCancelled(inner);
    });
    const sibling = spawn(scope, () => flush());
    expect([task.cancel("cause"), task.cancel("again")]).toEqual([true, false]);
    expect(below.reason).toMatchObject({ kind: "explicit", cause: "cause", scope: task.path });
    expect(await rejection(task)).toBe(below.reason);
    await sibling;
    expect(scope.cancelled).toBe(false);
    expect(task.cancel()).toBe(false);
    await scope.join();
  });

  it("rule 13: cancel() in the tick of the spawn causes no unhandled rejection", async () => {
    const scope = createScope();
    spawn(scope, untilCancelled).cancel();
    await scope.join();
  });

  it("rule 20: dropping it cancels nothing", async () => {
    const log: string[] = [];
    await withScope((scope) => {
      spawn(scope, async () => {
        await flush();
        log.push("done");
      });
    });
    expect(log).toEqual(["done"]);
  });

  it("rule 10: rejects with the failure of a child, not with the cancellation that it caused", async () => {
    const scope = createScope({ supervise: true });
    const task = spawn(scope, (inner) => {
      spawn(inner, () => Promise.reject(error));
      return untilCancelled(inner);
    });
    expect(await rejection(task)).toBe(error);
    expect(task.status).toBe("failed");
    await scope.join();
  });

  it("rule 10: a task whose worker returned rejects with a later failure of its children or cleanups", async () => {
    const scope = createScope({ supervise: true });
    const task = spawn(scope, (inner) => {
      inner.defer(() => Promise.reject(error));
      return "value";
    });
    expect(await rejection(task)).toBe(error);
    await scope.join();
  });
});
