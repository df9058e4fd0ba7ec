import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { beBusy } from "../../test/support/busy.js";
import { deferred, flush, outcomeOf, rejection, thrown } from "../../test/support/deferred.js";
import { sleep } from "../flow/time/sleep.js";
import { createScope, DeadlineExceededError, spawn, withScope, type Scope } from "../index.js";

const start = Date.UTC(2030, 0, 1);
const error = new Error("boom");

const untilCancelled = (scope: Scope): Promise<never> =>
  new Promise((_, reject) => scope.onCancel((reason) => reject(reason)));

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"], now: start });
});

afterEach(() => {
  vi.useRealTimers();
});

describe("deadlines", () => {
  it("rule 17: a timeout is milliseconds from now, a deadline an instant; of both the earlier counts", () => {
    expect(createScope({ timeout: 100 }).deadline).toBe(start + 100);
    expect(createScope({ deadline: start + 100 }).deadline).toBe(start + 100);
    expect(createScope({ deadline: new Date(start + 100) }).deadline).toBe(start + 100);
    expect(createScope({ deadline: start + 100, timeout: 50 }).deadline).toBe(start + 50);
    expect(createScope({ deadline: start + 50, timeout: 100 }).deadline).toBe(start + 50);
    expect(createScope({ timeout: Infinity }).deadline).toBe(undefined);
    expect(createScope().deadline).toBe(undefined);
  });

  it("says in the error how long that was, as it was given, and not how late it is", () => {
    const scopes = [
      createScope({ name: "a", timeout: 800 }),
      createScope({ name: "b", timeout: 800, deadline: start + 900 }),
    ];
    const dated = createScope({ name: "c", deadline: start + 800, timeout: 900 });
    const below = createScope(scopes[0] as Scope, { name: "below", timeout: 5_000 });
    vi.advanceTimersByTime(1_000);
    expect(scopes.map(({ reason }) => reason?.message)).toEqual([
      "timed out after 800 ms",
      "timed out after 800 ms",
    ]);
    expect(scopes[1]?.reason).toMatchObject({ timeout: 800, deadline: start + 800, scope: "b" });
    expect(below.reason).toBe(scopes[0]?.reason);
    expect(dated.reason).toMatchObject({
      timeout: undefined,
      deadline: start + 800,
      message: "the deadline has passed",
    });
  });

  it("rule 17: the earliest on the way to the root counts", () => {
    const root = createScope({ timeout: 100 });
    const later = createScope(root, { timeout: 200 });
    const earlier = createScope(later, { timeout: 50 });
    const plain = createScope(earlier);
    expect([root, later, earlier, plain].map(({ deadline }) => deadline)).toEqual(
      [100, 100, 50, 50].map((ms) => start + ms),
    );
    vi.advanceTimersByTime(50);
    expect([root, later, earlier, plain].map(({ cancelled }) => cancelled)).toEqual([
      false,
      false,
      true,
      true,
    ]);
    vi.advanceTimersByTime(50);
    expect([root.reason?.scope, later.reason]).toEqual([root.path, root.reason]);
  });

  it("rule 17: cancels with a DeadlineExceededError that says when, at that time and not before", () => {
    const scope = createScope({ name: "job", timeout: 100 });
    vi.advanceTimersByTime(99);
    expect(scope.cancelled).toBe(false);
    vi.advanceTimersByTime(1);
    expect(scope.reason).toBeInstanceOf(DeadlineExceededError);
    expect(scope.reason).toMatchObject({ kind: "deadline", scope: "job", deadline: start + 100 });
  });

  for (const [name, options] of [
    ["timeout: 0", { timeout: 0 }],
    ["a deadline in the past", { deadline: start - 1 }],
    ["a deadline that is now", { deadline: start }],
    ["a deadline of 1970", { deadline: new Date(0) }],
  ] as const) {
    it(`rule 17: ${name} cancels at birth, and nothing is called`, async () => {
      const body = vi.fn<() => void>();
      expect(await rejection(withScope(options, body))).toBeInstanceOf(DeadlineExceededError);
      const scope = createScope(options);
      expect(scope.reason).toBeInstanceOf(DeadlineExceededError);
      const parent = createScope({ supervise: true });
      const task = spawn(parent, body, options);
      expect(await rejection(task)).toBeInstanceOf(DeadlineExceededError);
      expect(task.status).toBe("failed");
      expect(body).not.toHaveBeenCalled();
      await parent.join();
      expect(vi.getTimerCount()).toBe(0);
    });
  }

  it("rule 17: delays over 2^31-1 ms work", () => {
    const days = 24 * 3600 * 1000;
    const scope = createScope({ timeout: 60 * days });
    vi.advanceTimersByTime(60 * days - 1);
    expect(scope.cancelled).toBe(false);
    vi.advanceTimersByTime(1);
    expect(scope.cancelled).toBe(true);
  });

  it("rule 17: accepts any instant, however distant", async () => {
    const scope = createScope({ timeout: Number.MAX_VALUE });
    const other = createScope({ deadline: Number.MAX_SAFE_INTEGER });
    vi.advanceTimersByTime(1000);
    expect([scope.cancelled, other.cancelled]).toEqual([false, false]);
    await Promise.all([scope.close(), other.close()]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("throwIfCancelled() reads the clock, so that a busy loop sees its deadline", () => {
    const scope = createScope({ timeout: 100 });
    const task = spawn(scope, (inner) => {
      beBusy(99);
      inner.throwIfCancelled();
      beBusy(1);
      expect(inner.cancelled).toBe(false);
      expect(thrown(() => inner.throwIfCancelled())).toBe(scope.reason);
      expect(scope.reason?.kind).toBe("deadline");
      inner.throwIfCancelled();
    });
    expect(task.status).toBe("cancelled");
  });

  it("throwIfCancelled() does not cancel a scope that has settled", async () => {
    const scope = createScope({ timeout: 100 });
    await scope.join();
    beBusy(200);
    scope.throwIfCancelled();
    expect(scope.cancelled).toBe(false);
  });

  it("rule 17: a child made after the deadline of its parent has passed unnoticed starts cancelled", async () => {
    const scope = createScope({ timeout: 100 });
    beBusy(200); // the timer is late
    const body = vi.fn<() => void>();
    await rejection(withScope(scope, { timeout: 500 }, body));
    expect(body).not.toHaveBeenCalled();
    expect(scope.cancelled).toBe(true);
  });
});

describe("the outcome of a timeout", () => {
  it("rule 16: a task that runs out of its own timeout has failed, and its parent receives the failure", async () => {
    const scope = createScope({ name: "parent" });
    const sibling = spawn(scope, untilCancelled);
    const task = spawn(scope, untilCancelled, { timeout: 100, name: "task" });
    const joined = rejection(scope.join());
    vi.advanceTimersByTime(100);
    const failure = await rejection(task);
    expect(failure).toBeInstanceOf(DeadlineExceededError);
    expect(failure).toMatchObject({ scope: "parent/task", deadline: start + 100 });
    expect(await joined).toBe(failure);
    expect(scope.reason).toMatchObject({ kind: "failure", cause: failure });
    expect([task.status, sibling.status]).toEqual(["failed", "cancelled"]);
  });

  it("rule 16: so has a task whose children were cut short by it, although its worker had returned", async () => {
    const scope = createScope();
    const task = spawn(scope, (inner) => void spawn(inner, untilCancelled), { timeout: 100 });
    const joined = rejection(scope.join());
    vi.advanceTimersByTime(100);
    expect(await joined).toBeInstanceOf(DeadlineExceededError);
    expect(task.status).toBe("failed");
  });

  it("rule 16: a task that returns a value nevertheless has succeeded", async () => {
    const scope = createScope();
    const task = spawn(scope, (inner) => untilCancelled(inner).catch(() => "value"), { timeout: 100 });
    vi.advanceTimersByTime(100);
    expect(await task).toBe("value");
    await scope.join();
    expect(scope.cancelled).toBe(false);
  });

  it("rule 16: a task that fails because of it with another error has failed with that error", async () => {
    const scope = createScope();
    spawn(scope, (inner) => untilCancelled(inner).catch(() => Promise.reject(error)), { timeout: 100 });
    const joined = rejection(scope.join());
    vi.advanceTimersByTime(100);
    expect(await joined).toBe(error);
  });

  it("rule 16: a task that was cut short by its parent's deadline is cancelled", async () => {
    const scope = createScope({ timeout: 100 });
    const task = spawn(scope, untilCancelled);
    const other = spawn(scope, untilCancelled, { timeout: 200 });
    vi.advanceTimersByTime(100);
    expect(await rejection(task)).toBe(scope.reason);
    expect(await rejection(other)).toBe(scope.reason);
    expect([task.status, other.status]).toEqual(["cancelled", "cancelled"]);
    expect(scope.errors).toEqual([]);
    await scope.close();
  });

  it("rule 16: a child handle that its own deadline cancelled has not failed, and its parent receives nothing", async () => {
    const parent = createScope();
    const child = createScope(parent, { timeout: 100 });
    spawn(child, untilCancelled);
    const joined = rejection(child.join());
    vi.advanceTimersByTime(100);
    expect(await joined).toBe(child.reason);
    await parent.join();
    expect([parent.errors, parent.cancelled, child.errors]).toEqual([[], false, []]);
  });

  it("rule 16: a withScope that exceeds its timeout rejects with the reason, only for its caller", async () => {
    await withScope(async (outer) => {
      const failure = rejection(withScope(outer, { timeout: 100 }, untilCancelled));
      vi.advanceTimersByTime(100);
      expect(await failure).toBeInstanceOf(DeadlineExceededError);
      expect(outer.errors).toEqual([]);
    });
  });

  it("rule 16: a queued task's timeout counts from spawn", async () => {
    const scope = createScope({ concurrency: 1, supervise: true });
    const gate = deferred();
    const worker = vi.fn<() => void>();
    spawn(scope, () => gate.promise);
    const queued = spawn(scope, worker, { timeout: 100 });
    vi.advanceTimersByTime(100);
    expect(await rejection(queued)).toBeInstanceOf(DeadlineExceededError);
    expect(queued.status).toBe("failed");
    gate.resolve();
    await scope.join();
    expect(worker).not.toHaveBeenCalled();
  });

  it("rule 16: a task with a timeout that was cancelled by another cause was cancelled", async () => {
    const scope = createScope();
    const task = spawn(scope, untilCancelled, { timeout: 100 });
    task.cancel("first");
    vi.advanceTimersByTime(200);
    expect(await rejection(task)).toMatchObject({ kind: "explicit", cause: "first" });
    expect(task.status).toBe("cancelled");
    await scope.join();
  });

  it("rule 16: a timeout that passes during the task's cleanup does not cut it short", async () => {
    const scope = createScope();
    const task = spawn(
      scope,
      (inner) => {
        inner.defer(() => sleep(scope, 200));
        return "value";
      },
      { timeout: 100 },
    );
    await flush();
    vi.advanceTimersByTime(100);
    expect(await outcomeOf(task)).toBe("pending");
    vi.advanceTimersByTime(100);
    expect(await task).toBe("value");
    await scope.join();
  });
});
