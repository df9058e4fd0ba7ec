import { describe, expect, it, vi } from "vitest";
import { deferred, flush, outcomeOf, rejection } from "../../test/support/deferred.js";
import { background, createScope, spawn, withScope, type Scope, type TaskInfo } from "../index.js";

const error = new Error("boom");

const untilCancelled = (scope: Scope): Promise<never> =>
  new Promise((_, reject) => scope.onCancel((reason) => reject(reason)));

describe("createScope()", () => {
  it("creates an open root scope, or a child if it gets a parent", async () => {
    const root = createScope({ name: "root" });
    const child = createScope(root, { name: "child" });
    const anonymous = createScope(child);
    expect([root, child, anonymous].map(({ path, state }) => [path, state])).toEqual([
      ["root", "open"],
      ["root/child", "open"],
      ["root/child/anonymous", "open"],
    ]);
    expect(createScope(background, { name: "other" }).path).toBe("other");
    await root.close();
    expect(anonymous.state).toBe("closed");
  });

  it("creates a root scope if it gets no parent, also inside a worker", async () => {
    const scope = createScope();
    const roots: Scope[] = [];
    spawn(scope, (inner) => {
      roots.push(createScope({ name: "root" }));
      return untilCancelled(inner);
    });
    await scope.close();
    expect(roots.map(({ path, cancelled }) => [path, cancelled])).toEqual([["root", false]]);
  });

  it("rule 1: a parent waits for a child handle, an idle one included", async () => {
    const parent = createScope();
    const child = createScope(parent);
    const joined = parent.join();
    expect(await outcomeOf(joined)).toBe("pending");
    expect(parent.state).toBe("closing");
    await child.close();
    await joined;
  });

  it("rule 9: the failure of a child handle without a receiver is the parent's, once its scope has settled", async () => {
    const gate = deferred();
    const parent = createScope();
    const child = createScope(parent);
    child.defer(() => gate.promise);
    const joined = parent.join();
    spawn(child, () => Promise.reject(error));
    await flush();
    expect(child.state).toBe("cancelling");
    expect(parent.errors).toEqual([]);
    gate.resolve();
    expect(await rejection(joined)).toBe(error);
    expect(parent.errors).toEqual([error]);
  });

  it("rule 11: the failure of a child handle goes only to its join() or close()", async () => {
    for (const receive of ["join", "close"] as const) {
      const parent = createScope();
      const child = createScope(parent);
      spawn(child, () => {
        throw error;
      });
      expect(await rejection(child[receive]())).toBe(error);
      await parent.join();
      expect([parent.errors, parent.cancelled]).toEqual([[], false]);
    }
  });

  it("rule 11: the nearest onError receives a failure without another receiver, with the task in which it happened", async () => {
    const calls: [string, unknown, TaskInfo][] = [];
    const receiver = (name: string) => (thrown: unknown, task: TaskInfo) =>
      void calls.push([name, thrown, task]);
    const root = createScope({ name: "root", onError: receiver("root") });
    const inner = createScope(root, { name: "inner", supervise: true, onError: receiver("inner") });
    const child = createScope(inner, { name: "child" });
    spawn(child, () => Promise.reject(error), { name: "task" });
    await flush();
    await flush();
    expect(calls.map(([name, thrown]) => [name, thrown])).toEqual([["inner", error]]);
    expect(calls[0]?.[2]).toMatchObject({ name: "task", path: "root/inner/child/task", status: "failed" });
    await root.close();
  });

  it("rule 11: onError of a scope is not called for a failure that the code awaiting the scope receives", async () => {
    const onError = vi.fn<() => void>();
    expect(await rejection(withScope({ onError }, () => Promise.reject(error)))).toBe(error);
    const scope = createScope({ onError });
    spawn(scope, () => Promise.reject(error));
    expect(await rejection(scope.join())).toBe(error);
    await flush();
    expect(onError).not.toHaveBeenCalled();
  });

  it("rule 11: onError receives each failure of a supervising scope, also of tasks that wait in its queue", async () => {
    const heard: unknown[] = [];
    const scope = createScope({ supervise: true, concurrency: 1, onError: (thrown) => heard.push(thrown) });
    const errors = [new Error("1"), new Error("2"), new Error("3")];
    for (const each of errors) spawn(scope, () => Promise.reject(each));
    await scope.join();
    await flush();
    expect(heard).toEqual(errors);
  });

  it("rule 11: a parent receives a child's failure before it can settle", async () => {
    const parent = createScope();
    const child = createScope(parent);
    const joined = parent.join(); // waits for the child alone
    spawn(child, () => {
      throw error;
    });
    expect(child.state).toBe("closed");
    expect(parent.state).toBe("closing");
    expect(await rejection(joined)).toBe(error);
  });

  it("rule 13: is cancelled with its parent, and does not cancel its parent", () => {
    const parent = createScope();
    const children = [createScope(parent), createScope(parent)] as const;
    children[0].cancel();
    expect([parent.cancelled, children[1].cancelled]).toEqual([false, false]);
    parent.cancel();
    expect(children[1].reason).toBe(parent.reason);
    expect(children[0].reason).not.toBe(parent.reason);
  });

  it("rule 4: returns a closed handle with the reason in a cancelled parent, and close() and join() settle", async () => {
    const parent = createScope();
    parent.cancel();
    const child = createScope(parent);
    expect([child.state, child.cancelled, child.reason]).toEqual(["closed", true, parent.reason]);
    expect(child.signal.reason).toBe(parent.reason);
    await child.close();
    await outcomeOf(child.join());
  });
});

describe("background", () => {
  it("is the parent of every root, has no name in paths, and is never cancelled", async () => {
    expect([background.path, background.state, background.cancelled, background.reason]).toEqual([
      "",
      "open",
      false,
      undefined,
    ]);
    expect(background.cancel()).toBe(false);
    expect(background.signal.aborted).toBe(false);
    background.throwIfCancelled();
    expect(background.deadline).toBe(undefined);
    const stop = background.onCancel(() => undefined);
    expect(stop()).toBe(true);
    const task = spawn(background, function detached(inner) {
      return inner.path;
    });
    expect(await task).toBe("detached");
  });

  it("behaves as a supervising scope does: a failure in it cancels nothing", async () => {
    const other = createScope();
    const task = spawn(background, () => Promise.reject(error));
    expect(await rejection(task)).toBe(error);
    expect([background.cancelled, background.errors, other.cancelled]).toEqual([false, [], false]);
    await other.close();
  });
});
