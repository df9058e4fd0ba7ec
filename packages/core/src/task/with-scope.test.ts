import { describe, expect, it, vi } from "vitest";
import { deferred, flush, outcomeOf, rejection } from "../../test/support/deferred.js";
import { createScope, spawn, suppressed, withScope, type Scope } from "../index.js";

const error = new Error("boom");

const untilCancelled = (scope: Scope): Promise<never> =>
  new Promise((_, reject) => scope.onCancel((reason) => reject(reason)));

describe("withScope()", () => {
  it("rule 2: waits for the children when the body has returned, then resolves with its value", async () => {
    const gate = deferred();
    const done = withScope((scope) => {
      spawn(scope, () => gate.promise);
      return "value";
    });
    expect(await outcomeOf(done)).toBe("pending");
    gate.resolve();
    expect(await done).toBe("value");
  });

  it("rule 2: cancels the children when the body throws, waits, and rejects with that error", async () => {
    const log: unknown[] = [];
    const gate = deferred();
    const done = withScope(async (scope) => {
      spawn(scope, async (inner) => {
        await untilCancelled(inner).catch(() => log.push(inner.reason?.kind, inner.reason?.cause));
        await gate.promise;
        log.push("child");
      });
      await flush();
      throw error;
    });
    done.catch(() => log.push("rejected"));
    await flush();
    await flush();
    expect(log).toEqual(["failure", error]);
    gate.resolve();
    expect(await rejection(done)).toBe(error);
    expect(log).toEqual(["failure", error, "child", "rejected"]);
  });

  it("rule 2: cancels the body when a child fails, and rejects with the failure of the child", async () => {
    const done = withScope(async (scope) => {
      spawn(scope, () => Promise.reject(error));
      await untilCancelled(scope);
    });
    expect(await rejection(done)).toBe(error);
    expect(suppressed(error)).toEqual([]);
  });

  it("rule 10: lists the error of a body that fails because a child failed as suppressed", async () => {
    const second = new Error("second");
    const first = new Error("first");
    const done = withScope(async (scope) => {
      spawn(scope, () => Promise.reject(first));
      await untilCancelled(scope).catch(() => {
        throw second;
      });
    });
    expect(await rejection(done)).toBe(first);
    expect(suppressed(first)).toEqual([second]);
  });

  it("rule 2: rejects with the reason when its own work was cut short", async () => {
    let scope!: Scope;
    const done = withScope((inner) => {
      scope = inner;
      return untilCancelled(inner);
    });
    scope.cancel("cause");
    expect(await rejection(done)).toBe(scope.reason);
  });

  it("rule 3: calls the body synchronously, and rejects with an error that it throws", async () => {
    const log: string[] = [];
    const done = withScope(() => {
      log.push("body");
      throw error;
    });
    log.push("after");
    expect(log).toEqual(["body", "after"]);
    expect(await rejection(done)).toBe(error);
  });

  it("rule 4: does not call the body in a cancelled parent, and rejects with the reason", async () => {
    const parent = createScope();
    parent.cancel();
    const body = vi.fn<() => void>();
    expect(await rejection(withScope(parent, body))).toBe(parent.reason);
    expect(body).not.toHaveBeenCalled();
  });

  it("takes a parent, options, both or neither", async () => {
    const parent = createScope({ name: "parent" });
    const path = (scope: Scope): string => scope.path;
    expect(await withScope(path)).toBe("path");
    expect(await withScope({ name: "given" }, path)).toBe("given");
    expect(await withScope(parent, path)).toBe("parent/path");
    expect(await withScope(parent, { name: "given" }, path)).toBe("parent/given");
    expect(await spawn(parent, (view) => withScope(view, { name: "given" }, path))).toBe(
      "parent/anonymous/given",
    );
    await parent.close();
  });

  it("creates a root scope if it gets no parent, also inside a worker", async () => {
    const gate = deferred<string>();
    const scope = createScope();
    let inner: Promise<string> | undefined;
    const task = spawn(scope, (task) => {
      inner = withScope({ name: "root" }, () => gate.promise);
      return untilCancelled(task);
    });
    scope.cancel();
    await rejection(task);
    await scope.close();
    expect(await outcomeOf(inner as Promise<string>)).toBe("pending");
    gate.resolve("value");
    expect(await inner).toBe("value");
  });

  it("rule 1: is waited for by its parent, although it is not awaited", async () => {
    const gate = deferred();
    const scope = createScope();
    void withScope(scope, () => gate.promise);
    const joined = scope.join();
    expect(await outcomeOf(joined)).toBe("pending");
    gate.resolve();
    await joined;
  });

  it("rule 13: is cancelled with its parent, with the parent's reason", async () => {
    const scope = createScope();
    const done = withScope(scope, untilCancelled);
    scope.cancel();
    expect(await rejection(done)).toBe(scope.reason);
  });

  it("rule 2: is waited for by a parent that closes, including its cleanup", async () => {
    const gate = deferred();
    const parent = createScope();
    const done = rejection(
      withScope(parent, (scope) => {
        scope.defer(() => gate.promise);
        return untilCancelled(scope);
      }),
    );
    const closed = parent.close();
    expect(await outcomeOf(closed)).toBe("pending");
    gate.resolve();
    await closed;
    expect(await done).toBe(parent.reason);
  });

  it("the scope of the body is closed afterwards", async () => {
    let scope!: Scope;
    await withScope((inner) => void (scope = inner));
    expect(scope.state).toBe("closed");
    expect(scope.cancel()).toBe(false);
    scope.throwIfCancelled();
    expect(scope.signal.aborted).toBe(false);
  });

  it("works in the finally block of a cancelled task, since as a root it is not cancelled", async () => {
    const log: string[] = [];
    const scope = createScope();
    spawn(scope, async (inner) => {
      try {
        await untilCancelled(inner);
      } finally {
        await withScope(async (own) => {
          await flush();
          log.push(`cleaned, cancelled: ${own.cancelled}`);
        });
      }
    });
    await scope.close();
    expect(log).toEqual(["cleaned, cancelled: false"]);
  });
});
