import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { inspect } from "node:util";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { deferred, flush, outcomeOf, rejection } from "../../test/support/deferred.js";
import { CancelledError, createScope, ScopeClosedError, spawn, type Scope } from "../index.js";

const error = new Error("boom");

const untilCancelled = (scope: Scope): Promise<never> =>
  new Promise((_, reject) => scope.onCancel((reason) => reject(reason)));

describe("join()", () => {
  it("rule 2: waits for the children and for their children, and resolves at once without any", async () => {
    const log: string[] = [];
    const scope = createScope();
    spawn(scope, async () => {
      await flush();
      spawn(scope, async () => {
        await flush();
        log.push("late child");
      });
    });
    await scope.join();
    expect(log).toEqual(["late child"]);
    expect(scope.state).toBe("closed");
    expect(() => spawn(scope, () => 1)).toThrow(ScopeClosedError);
  });

  it("rule 2: ends an idle scope at once and runs its defers", async () => {
    const cleanup = vi.fn<() => void>();
    const scope = createScope();
    scope.defer(cleanup);
    await scope.join();
    expect(cleanup).toHaveBeenCalledOnce();
    expect(scope.cancelled).toBe(false);
  });

  it("rule 2: rejects with the reason when its own work was cut short, for any reason", async () => {
    for (const cut of [
      (scope: Scope) => scope.cancel(),
      (scope: Scope) => void (scope as Partial<AsyncDisposable>)[Symbol.asyncDispose]?.(),
    ]) {
      const scope = createScope();
      spawn(scope, untilCancelled);
      const joined = scope.join();
      cut(scope);
      expect(await rejection(joined)).toBe(scope.reason);
      expect(await rejection(scope.join())).toBe(scope.reason);
    }
  });

  it("rule 11: keeps rejecting with the failure, every time", async () => {
    const scope = createScope();
    spawn(scope, () => Promise.reject(error));
    const both = [rejection(scope.join()), rejection(scope.join())];
    expect(await Promise.all(both)).toEqual([error, error]);
    expect(await rejection(scope.join())).toBe(error);
  });
});

describe("close()", () => {
  it("rule 2: cancels with kind closed and the cause, waits, and resolves", async () => {
    const gate = deferred();
    const cause = new Error("cause");
    const scope = createScope({ name: "it" });
    const task = spawn(scope, untilCancelled);
    scope.defer(() => gate.promise);
    const closed = scope.close({ cause });
    expect(scope.reason).toMatchObject({ kind: "closed", scope: "it" });
    expect(scope.reason?.cause).toBe(cause);
    expect(await outcomeOf(closed)).toBe("pending");
    gate.resolve();
    await closed;
    expect([scope.state, task.status]).toEqual(["closed", "cancelled"]);
  });

  it("rule 2: gives an idle scope a reason, which says when it was closed, and of which path and cause", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: 5_000 });
    onTestFinished(() => void vi.useRealTimers());
    const parent = createScope({ name: "pool" });
    const scope = createScope(parent, { name: "idle" });
    await scope.close({ cause: "enough" });
    vi.setSystemTime(9_000);
    const { reason } = scope;
    expect(reason).toMatchObject({ kind: "closed", scope: "pool/idle", cause: "enough", at: 5_000 });
    expect(reason).toBeInstanceOf(CancelledError);
    expect(scope.reason).toBe(reason);
    expect(scope.signal.reason).toBe(reason);
    expect(() => scope.throwIfCancelled()).toThrow(reason);
    const seen = vi.fn<(reason: CancelledError) => void>();
    scope.onCancel(seen);
    expect(seen).toHaveBeenCalledExactlyOnceWith(reason);
    await parent.close();
    expect(parent.reason).not.toBe(reason);
  });

  it("rule 2: gives the reason of an idle scope to a signal that was read, a listener, a cleanup and a channel", async () => {
    const bySignal = createScope();
    const { signal } = bySignal;
    const byListener = createScope();
    const told = vi.fn<(reason: CancelledError) => void>();
    byListener.onCancel(told);
    const byCleanup = createScope();
    const seen = vi.fn<() => CancelledError | undefined>(() => byCleanup.reason);
    byCleanup.defer(seen);
    const closed = [bySignal.close(), byListener.close(), byCleanup.close()];
    expect(signal.reason).toBe(bySignal.reason);
    expect(told).toHaveBeenCalledExactlyOnceWith(byListener.reason);
    await Promise.all(closed);
    expect(seen).toHaveReturnedWith(expect.any(CancelledError));
    expect(seen).toHaveReturnedWith(byCleanup.reason);

    const published = vi.fn<(message: unknown) => void>();
    subscribe("bough:scope:cancel", published);
    onTestFinished(() => void unsubscribe("bough:scope:cancel", published));
    const byChannel = createScope();
    await byChannel.close();
    expect(published).toHaveBeenCalledExactlyOnceWith(
      expect.objectContaining({ reason: byChannel.reason }),
      "bough:scope:cancel",
    );
  });

  it("rule 2: resolves when the scope was only cancelled, by any code, and keeps its reason", async () => {
    const parent = createScope();
    const scope = createScope(parent);
    spawn(scope, untilCancelled);
    parent.cancel("by the parent");
    await scope.close();
    expect(scope.reason).toBe(parent.reason);
  });

  it("rule 2: rejects with a failure, that of the cleanup included", async () => {
    const scope = createScope();
    spawn(scope, (inner) => untilCancelled(inner).catch(() => Promise.reject(error)));
    expect(await rejection(scope.close())).toBe(error);
    const other = createScope();
    other.defer(() => Promise.reject(error));
    expect(await rejection(other.close())).toBe(error);
  });

  it("rule 5: a second close() waits as the first does", async () => {
    const gate = deferred();
    const scope = createScope();
    scope.defer(() => gate.promise);
    const first = scope.close();
    const second = scope.close({ cause: "ignored" });
    expect([await outcomeOf(first), await outcomeOf(second)]).toEqual(["pending", "pending"]);
    gate.resolve();
    await Promise.all([first, second]);
    expect(scope.reason).not.toHaveProperty("cause");
  });

  it("rule 5: inside the scope cancels at once, and the scope ends if the call is not awaited", async () => {
    const scope = createScope();
    const closed: Promise<void>[] = [];
    spawn(scope, (inner) => {
      closed.push(scope.close());
      expect(inner.cancelled).toBe(true);
    });
    await Promise.all(closed);
    expect(scope.state).toBe("closed");
  });

  it("rule 5: in a defer of the scope has no effect if it is not awaited", async () => {
    const closed: Promise<void>[] = [];
    const scope = createScope();
    scope.defer(() => void closed.push(scope.close()));
    await scope.join();
    await Promise.all(closed);
    expect(closed).toHaveLength(1);
  });

  it("rule 2: closes everything below, including handles that others own", async () => {
    const scope = createScope();
    const child = createScope(scope);
    await scope.close();
    expect([child.state, child.reason]).toEqual(["closed", scope.reason]);
    await child.close();
  });

  it("rule 2: cuts short the work that a pending join() waits for", async () => {
    const scope = createScope();
    spawn(scope, untilCancelled);
    const joined = rejection(scope.join());
    await scope.close();
    expect(await joined).toBe(scope.reason);
  });
});

describe("the disposal", () => {
  it("rule 2: does what close() does", async () => {
    const scope = createScope();
    spawn(scope, untilCancelled);
    {
      await using owned = scope;
      expect(owned.state).toBe("open");
    }
    expect([scope.state, scope.reason?.kind]).toEqual(["closed", "closed"]);
  });

  it("rule 11: rejects with a failure that was not received elsewhere, and not with a failure that was", async () => {
    const scope = createScope();
    spawn(scope, () => Promise.reject(error));
    expect(await rejection(scope.join())).toBe(error);
    await scope[Symbol.asyncDispose]();
    expect(await rejection(scope.close())).toBe(error);
    const other = createScope();
    spawn(other, () => {
      throw error;
    });
    expect(await rejection(other[Symbol.asyncDispose]())).toBe(error);
    await other[Symbol.asyncDispose]();
  });

  it("rule 11: also resolves when a join() at the same time gets the failure", async () => {
    const scope = createScope();
    spawn(scope, (inner) => untilCancelled(inner).catch(() => Promise.reject(error)));
    const joined = rejection(scope.join());
    await scope[Symbol.asyncDispose]();
    expect(await joined).toBe(error);
  });
});

describe("a handle and its views", () => {
  it("show the same scope", async () => {
    const scope = createScope({ name: "it", timeout: 1000 });
    let view!: Scope;
    const child = createScope(scope, { name: "child" });
    spawn(
      scope,
      (inner) => {
        view = inner;
        return untilCancelled(inner);
      },
      { name: "task" },
    );
    expect([scope.path, child.path, view.path]).toEqual(["it", "it/child", "it/task"]);
    expect(view.deadline).toBe(scope.deadline);
    expect(scope.signal).toBe(scope.signal);
    expect("join" in view || "close" in view || Symbol.asyncDispose in view).toBe(false);
    await scope.close();
    expect(view.signal.reason).toBe(scope.reason);
  });

  it("print their kind, and serialise without the tree", async () => {
    const scope = createScope({ name: "it" });
    let view!: Scope;
    await spawn(scope, function task(inner) {
      view = inner;
    });
    expect(inspect(scope)).toBe('ScopeHandle("it", open)');
    expect(inspect(view)).toBe('Scope("it/task", closed)');
    expect(JSON.parse(JSON.stringify(scope))).toEqual({ name: "it", path: "it", state: "open" });
    expect(JSON.parse(JSON.stringify(view))).toEqual({ name: "task", path: "it/task", state: "closed" });
    await scope.close();
  });
});
