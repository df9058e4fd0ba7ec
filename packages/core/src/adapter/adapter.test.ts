import { afterEach, describe, expect, it, vi } from "vitest";
import { checkpoint } from "../flow/time/checkpoint.js";
import { sleep } from "../flow/time/sleep.js";
import { shield } from "../flow/lifetime/shield.js";
import { CancelledError, DeadlineExceededError, type CancelKind } from "../errors/cancelled.js";
import { StuckTasksError } from "../errors/scope-errors.js";
import { formatTree, snapshot } from "../inspect/index.js";
import { createScope } from "../task/create-scope.js";
import { spawn } from "../task/spawn.js";
import { withScope } from "../task/with-scope.js";
import { annotate, cancelAs, expire, onCheck } from "./index.js";

afterEach(() => void vi.useRealTimers());

describe("cancelAs", () => {
  it.each(["explicit", "signal", "closed", "orphaned", "disconnected", "shutdown", "failure"] as const)(
    "rule 13: cancels the whole subtree with kind %s",
    async (kind: CancelKind) => {
      const scope = createScope({ name: "call" });
      const task = spawn(scope, (inner) => sleep(inner, 60_000), { name: "work" });
      expect(cancelAs(scope, kind, { cause: "why" })).toBe(true);
      expect(cancelAs(scope, "closed")).toBe(false);
      const error: unknown = await task.then(undefined, (reason: unknown) => reason);
      expect(error).toBe(scope.reason);
      expect(scope.reason).toMatchObject({ kind, cause: "why", scope: "call" });
      await scope.close();
    },
  );

  it("rule 13: keeps the path of the scope on which the cancellation began", async () => {
    const scope = createScope({ name: "job" });
    cancelAs(scope, "shutdown", { origin: "server/request", cause: "SIGTERM" });
    expect(scope.reason).toMatchObject({ kind: "shutdown", scope: "server/request", cause: "SIGTERM" });
    expect(scope.reason?.message).toContain("server/request");
    await scope.close();
  });

  it("rule 16: a task that was cancelled with the deadline of another process was cancelled, and has not failed", async () => {
    const scope = createScope({ name: "job" });
    const task = spawn(scope, (inner) => {
      cancelAs(inner, "deadline", { origin: "owner" });
      return sleep(inner, 1);
    });
    await expect(task).rejects.toBeInstanceOf(DeadlineExceededError);
    expect([task.status, scope.cancelled]).toEqual(["cancelled", false]);
    await scope.close();
  });

  it("refuses a kind that does not exist, and names those that do", () => {
    const scope = createScope({ name: "job" });
    expect(() => cancelAs(scope, "gone" as CancelKind)).toThrow(
      /cancelAs: kind must be one of explicit, deadline.*"gone"/,
    );
    expect(scope.cancelled).toBe(false);
    return scope.close();
  });
});

describe("expire", () => {
  it("rule 16: a task whose deadline has passed on another clock fails with its own DeadlineExceededError", async () => {
    const expired: boolean[] = [];
    const outcome = await withScope({ name: "root" }, async (scope) => {
      const task = spawn(
        scope,
        (inner) => {
          expired.push(expire(inner), expire(inner));
          return sleep(inner, 1);
        },
        { name: "call", timeout: 60_000 },
      );
      await task;
    }).catch((error: unknown) => error);
    expect(outcome).toBeInstanceOf(DeadlineExceededError);
    expect(outcome).toMatchObject({ scope: "root/call", timeout: 60_000 });
    expect(expired).toEqual([true, false]);
  });

  it("rule 17: cancels the scope that has the deadline, even if it is an ancestor of the given one", async () => {
    const outer = createScope({ name: "outer", timeout: 60_000 });
    const inner = createScope(outer, { name: "inner" });
    expect(expire(inner)).toBe(true);
    expect(outer.reason).toMatchObject({ kind: "deadline", scope: "outer" });
    await inner.close();
    await outer.close();
  });

  it("does nothing without a deadline", async () => {
    const scope = createScope();
    expect(expire(scope)).toBe(false);
    expect(scope.cancelled).toBe(false);
    await scope.close();
  });
});

describe("annotate", () => {
  it("rule 26: an annotation is in the snapshot, in the tree and in the report of stuck tasks", async () => {
    vi.useFakeTimers();
    const scope = createScope({ name: "jobs" });
    let end = (): void => {};
    spawn(
      scope,
      (task) => {
        annotate(task, "remote", () => ({ text: "waiting for host/7", data: { worker: "host/7" } }));
        return new Promise<void>((resolve) => (end = resolve));
      },
      { name: "resize" },
    );
    const [task] = snapshot(scope).children;
    expect(task).toMatchObject({ note: "waiting for host/7", annotations: { remote: { worker: "host/7" } } });
    expect(formatTree(snapshot(scope))).toContain("waiting for host/7");
    const closed = scope.close({ grace: 10 }).catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(10);
    const error = (await closed) as StuckTasksError;
    expect(error).toBeInstanceOf(StuckTasksError);
    expect(error.tasks[0]).toMatchObject({ annotation: "waiting for host/7" });
    expect(error.message).toContain("jobs/resize (its worker has not returned, waiting for host/7,");
    end();
    await scope.close();
  });

  it("rule 26: an annotator that throws, or has nothing to say, leaves the snapshot as it is", async () => {
    const scope = createScope({ name: "jobs" });
    annotate(scope, "a", () => {
      throw new Error("broken");
    });
    annotate(scope, "b", () => undefined);
    annotate(scope, "c", () => ({ text: "said" }));
    expect(snapshot(scope)).toMatchObject({ note: "said" });
    annotate(scope, "c");
    expect(snapshot(scope)).not.toHaveProperty("note");
    await scope.close();
  });
});

describe("onCheck", () => {
  it("rule 17: throwIfCancelled and checkpoint look at the check of a scope above, without a timer", async () => {
    const scope = createScope({ name: "job" });
    let isOver = false;
    onCheck(scope, () => {
      if (isOver) cancelAs(scope, "disconnected");
    });
    const inner = createScope(scope, { name: "inner" });
    inner.throwIfCancelled();
    isOver = true;
    expect(() => inner.throwIfCancelled()).toThrow(CancelledError);
    await expect(checkpoint(inner)).rejects.toMatchObject({ kind: "disconnected" });
    await inner.close();
    await scope.close();
  });

  it("rule 23: a shield keeps the check of the scopes above from its body", async () => {
    await withScope(async (scope) => {
      let calls = 0;
      onCheck(scope, () => (calls += 1));
      await shield(scope, { timeout: 1_000 }, (inside) => inside.throwIfCancelled());
      expect(calls).toBe(0);
      scope.throwIfCancelled();
      expect(calls).toBe(1);
      onCheck(scope);
      scope.throwIfCancelled();
      expect(calls).toBe(1);
    });
  });

  it("rule 6: a settled scope keeps neither check nor annotation", async () => {
    const scope = createScope();
    let calls = 0;
    onCheck(scope, () => (calls += 1));
    annotate(scope, "a", () => ({ text: "said" }));
    await scope.close();
    expect(() => scope.throwIfCancelled()).toThrow(CancelledError);
    const other = createScope();
    other.throwIfCancelled();
    expect(calls).toBe(0);
    expect(snapshot(scope)).not.toHaveProperty("note");
    await other.close();
  });
});
