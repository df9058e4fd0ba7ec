import { describe, expect, it, vi } from "vitest";
import { deferred, flush, outcomeOf, rejection, thrown } from "../../test/support/deferred.js";
import { createScope, ScopeClosedError, spawn, suppressed, withScope, type Scope } from "../index.js";

const error = new Error("boom");

describe("defer()", () => {
  it("rule 1: runs last in first out, each awaited before the next, after the children have settled", async () => {
    const log: string[] = [];
    const gate = deferred();
    const done = withScope((scope) => {
      scope.defer(() => log.push("first"));
      scope.defer(async () => {
        log.push("second begins");
        await gate.promise;
        log.push("second ends");
      });
      spawn(scope, async () => {
        await flush();
        log.push("child");
      });
      return "value";
    });
    expect(await outcomeOf(done)).toBe("pending");
    await flush();
    expect(log).toEqual(["child", "second begins"]);
    gate.resolve();
    expect(await done).toBe("value");
    expect(log).toEqual(["child", "second begins", "second ends", "first"]);
  });

  it("rule 1: a cleanup that a running cleanup adds runs next", async () => {
    const log: string[] = [];
    await withScope((scope) => {
      scope.defer(() => log.push("first"));
      scope.defer(() => {
        log.push("second");
        scope.defer(() => log.push("added"));
      });
    });
    expect(log).toEqual(["second", "added", "first"]);
  });

  it("rule 1: a cleanup that is added after a cancellation, before the end, runs", async () => {
    const cleanup = vi.fn<() => void>();
    const gate = deferred();
    const scope = createScope();
    spawn(scope, async (inner) => {
      await gate.promise;
      inner.defer(cleanup);
    });
    scope.cancel();
    gate.resolve();
    await scope.close();
    expect(cleanup).toHaveBeenCalledOnce();
  });

  it("runs after success, failure and cancellation, once", async () => {
    for (const end of [
      () => "value",
      () => Promise.reject(error),
      (scope: Scope): void => {
        scope.cancel();
        scope.throwIfCancelled();
      },
    ]) {
      const cleanup = vi.fn<() => void>();
      await withScope((scope) => {
        scope.defer(cleanup);
        return end(scope);
      }).catch(() => undefined);
      expect(cleanup).toHaveBeenCalledOnce();
      expect(cleanup).toHaveBeenCalledWith();
    }
  });

  it("never runs during the call, not even in a scope that is about to end", () => {
    const cleanup = vi.fn<() => void>();
    const scope = createScope();
    scope.defer(cleanup);
    scope.cancel();
    expect(cleanup).not.toHaveBeenCalled();
    expect(scope.state).toBe("cancelling");
  });

  it("rule 10: a cleanup that throws is a failure, even without another failure", async () => {
    for (const cleanup of [
      () => {
        throw error;
      },
      () => Promise.reject(error),
    ]) {
      expect(
        await rejection(
          withScope((scope) => {
            scope.defer(cleanup);
            return "value";
          }),
        ),
      ).toBe(error);
    }
  });

  it("rule 10: a cleanup of a task that throws fails the task, and so its parent", async () => {
    const scope = createScope();
    const sibling = spawn(scope, (inner) => new Promise((_, reject) => inner.onCancel(reject)));
    const task = spawn(scope, (inner) => inner.defer(() => Promise.reject(error)));
    expect(await rejection(scope.join())).toBe(error);
    expect(scope.reason).toMatchObject({ kind: "failure", cause: error });
    expect([task.status, sibling.status]).toEqual(["failed", "cancelled"]);
  });

  it("rule 12: an error that a cleanup throws is a failure even if it is the reason, because the cleanup did not do its work", async () => {
    const scope = createScope();
    scope.defer(() => scope.throwIfCancelled());
    scope.cancel();
    expect(await rejection(scope.close())).toBe(scope.reason);
    expect(scope.errors).toEqual([scope.reason]);
  });

  it("rule 4: spawn throws in a defer when no child is alive, and that is a failure like any other", async () => {
    const worker = vi.fn<() => void>();
    const done = withScope((scope) => {
      scope.defer(() => spawn(scope, worker));
    });
    expect(await rejection(done)).toBeInstanceOf(ScopeClosedError);
    expect(worker).not.toHaveBeenCalled();
  });

  it("withScope() works in a defer, with its own scope", async () => {
    const log: string[] = [];
    const scope = createScope();
    scope.defer(() => withScope((cleanup) => void spawn(cleanup, async () => log.push("cleaned"))));
    await scope.close();
    expect(log).toEqual(["cleaned"]);
  });

  it("throws when the scope is closed, and never runs", async () => {
    const scope = createScope();
    await scope.close();
    const cleanup = vi.fn<() => void>();
    expect(thrown(() => scope.defer(cleanup))).toBeInstanceOf(ScopeClosedError);
    await flush();
    expect(cleanup).not.toHaveBeenCalled();
  });

  it("rule 1: a thousand cleanups run one after the other without a stack overflow", async () => {
    const ran: number[] = [];
    const scope = createScope();
    for (let index = 0; index < 1000; index++) scope.defer(() => ran.push(index));
    await scope.close();
    expect(ran).toEqual(Array.from({ length: 1000 }, (_, index) => 999 - index));
  });
});

describe("use()", () => {
  it("returns the resource and disposes of it at the end, in turn with the defers", async () => {
    const log: string[] = [];
    await withScope((scope) => {
      scope.defer(() => log.push("first"));
      const resource = { [Symbol.dispose]: () => void log.push("resource") };
      expect(scope.use(resource)).toBe(resource);
      scope.defer(() => log.push("last"));
    });
    expect(log).toEqual(["last", "resource", "first"]);
  });

  it("prefers asyncDispose, awaits it, and calls it on the resource", async () => {
    const log: unknown[] = [];
    const gate = deferred();
    const resource = {
      [Symbol.dispose]: () => void log.push("sync"),
      async [Symbol.asyncDispose]() {
        await gate.promise;
        log.push(this);
      },
    };
    const scope = createScope();
    scope.use(resource);
    const closed = scope.close();
    expect(await outcomeOf(closed)).toBe("pending");
    gate.resolve();
    await closed;
    expect(log).toEqual([resource]);
  });

  it("takes scope handles and functions with a disposer", async () => {
    const scope = createScope();
    const owned = scope.use(createScope());
    const dispose = vi.fn<() => void>();
    scope.use(Object.assign(() => 1, { [Symbol.dispose]: dispose }));
    await scope.close();
    expect(owned.state).toBe("closed");
    expect(dispose).toHaveBeenCalledOnce();
  });

  it("rule 10: a disposal that throws is a failure, and the others run", async () => {
    const second = new Error("second");
    const scope = createScope();
    const last = vi.fn<() => void>();
    scope.use({ [Symbol.dispose]: last });
    for (const failing of [second, error]) {
      scope.use({ [Symbol.asyncDispose]: () => Promise.reject(failing) });
    }
    expect(await rejection(scope.close())).toBe(error);
    expect(suppressed(error)).toEqual([second]);
    expect(last).toHaveBeenCalledOnce();
  });

  it("throws when the scope is closed; the resource is then still the caller's", async () => {
    const scope = createScope();
    await scope.close();
    const dispose = vi.fn<() => void>();
    expect(thrown(() => scope.use({ [Symbol.dispose]: dispose }))).toBeInstanceOf(ScopeClosedError);
    expect(dispose).not.toHaveBeenCalled();
  });
});
