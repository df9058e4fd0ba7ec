import { EventEmitter, getEventListeners, once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import { deferred, flush, outcomeOf, rejection } from "../../test/support/deferred.js";
import {
  createScope,
  isCancelled,
  map,
  spawn,
  suppressed,
  withScope,
  type CancelledError,
  type Scope,
  type ScopeOptions,
} from "../index.js";
import { collectGarbage } from "../testing/index.js";

/** A worker that ends with the reason. */
const untilCancelled = (scope: Scope): Promise<never> =>
  new Promise((_, reject) => scope.onCancel((reason) => reject(reason)));

/** A tree of two levels, with a log of what is called in which order. */
function tree(): { readonly log: string[]; readonly scopes: readonly Scope[]; readonly root: Scope } {
  const log: string[] = [];
  const root = createScope({ name: "root" });
  const a = createScope(root, { name: "a" });
  const a1 = createScope(a, { name: "a1" });
  const a2 = createScope(a, { name: "a2" });
  const b = createScope(root, { name: "b" });
  const scopes = [root, a, a1, a2, b];
  // Not in the order of the tree: that must not matter.
  for (const scope of [b, a2, root, a1, a]) {
    scope.onCancel(() => log.push(`${scope.name}: callback`));
    scope.signal.addEventListener("abort", () => log.push(`${scope.name}: signal`));
    scope.onCancel(() => log.push(`${scope.name}: second callback`));
  }
  return { log, scopes, root };
}

describe("cancel()", () => {
  it("keeps no task alive that it has cancelled, however many listeners cancel the next scope", async () => {
    const tasks: WeakRef<Scope>[] = [];
    (() => {
      const scopes = Array.from({ length: 40 }, () => createScope());
      scopes.forEach((scope, index) => {
        scope.onCancel(() => scopes[index + 1]?.cancel());
        spawn(scope, (task) => {
          tasks.push(new WeakRef(task));
          return untilCancelled(task);
        });
      });
      scopes[0]?.cancel();
    })();
    await flush();
    await collectGarbage();
    expect(tasks.flatMap((task, index) => (task.deref() === undefined ? [] : [index]))).toEqual([]);
  });

  it("rule 13: parents first, children in spawn order; in a scope the signal, then the callbacks as they were added", () => {
    const { log, root } = tree();
    root.cancel();
    expect(log).toEqual(
      ["root", "a", "a1", "a2", "b"].flatMap((name) => [
        `${name}: signal`,
        `${name}: callback`,
        `${name}: second callback`,
      ]),
    );
  });

  it("rule 13: the whole subtree is marked before the first listener runs, and with one reason", () => {
    const { scopes, root } = tree();
    const seen: unknown[] = [];
    root.signal.addEventListener("abort", () => {
      for (const scope of scopes) seen.push([scope.cancelled, scope.state, scope.reason === root.reason]);
    });
    root.cancel();
    expect(seen).toEqual(scopes.map(() => [true, "cancelling", true]));
    expect(root.reason).toMatchObject({ kind: "explicit", scope: "root" });
    expect(scopes.map(({ signal }) => signal.reason as unknown)).toEqual(scopes.map(() => root.reason));
  });

  it("rule 13: has called every listener when it returns", () => {
    const { log, root } = tree();
    root.cancel();
    const { length } = log;
    expect(length).toBe(15);
    root.cancel();
    expect(log).toHaveLength(length);
  });

  it("rule 13: the first cause wins, and later calls return false", () => {
    const scope = createScope();
    const cause = new Error("first");
    expect(scope.cancel(cause)).toBe(true);
    const { reason } = scope;
    expect(scope.cancel("second")).toBe(false);
    expect(scope.reason).toBe(reason);
    expect(reason?.cause).toBe(cause);
  });

  it("rule 13: a subtree that was cancelled before keeps its own reason, and is not notified again", () => {
    const { log, scopes, root } = tree();
    const a = scopes[1] as Scope;
    a.cancel("own");
    log.length = 0;
    root.cancel("outer");
    expect(log.some((line) => line.startsWith("a"))).toBe(false);
    expect(scopes.map(({ reason }) => reason?.cause)).toEqual(["outer", "own", "own", "own", "outer"]);
  });

  it("rule 13: cancels no ancestor and no sibling", () => {
    const { scopes } = tree();
    const [root, a, , , b] = scopes as [Scope, Scope, Scope, Scope, Scope];
    a.cancel();
    expect([root.cancelled, b.cancelled, root.signal.aborted]).toEqual([false, false, false]);
  });

  it("rule 13: from inside a worker, synchronously, the worker itself included", async () => {
    const log: string[] = [];
    const scope = createScope();
    const task = spawn(scope, (inner) => {
      inner.onCancel(() => log.push("callback"));
      log.push(`cancel ${scope.cancel("self")}`);
      log.push(`cancelled ${inner.cancelled}`);
      inner.throwIfCancelled();
    });
    log.push(task.status);
    expect(log).toEqual(["callback", "cancel true", "cancelled true", "cancelled"]);
    expect(await rejection(task)).toBe(scope.reason);
    await scope.close();
  });

  it("rule 13: does nothing when a listener of the same cancellation calls it again", () => {
    const { log, scopes, root } = tree();
    const results: boolean[] = [];
    root.onCancel(() => results.push(...scopes.map((scope) => scope.cancel("again"))));
    root.cancel("first");
    expect(results).toEqual([false, false, false, false, false]);
    expect(log).toHaveLength(15);
    expect(scopes.map(({ reason }) => reason?.cause)).toEqual(scopes.map(() => "first"));
  });

  it("rule 13: of another tree, by a listener, is complete when it returns", () => {
    const first = tree();
    const second = tree();
    first.root.onCancel(() => {
      second.root.cancel();
      first.log.push(`${second.log.length} calls`);
    });
    first.root.cancel();
    expect(first.log).toContain("15 calls");
    expect(first.log).toHaveLength(16);
  });

  it("rule 13: of the parent, by a listener of the child, does not change the child's reason", () => {
    const parent = createScope();
    const child = createScope(parent);
    const sibling = createScope(parent);
    child.onCancel(() => parent.cancel("parent"));
    child.cancel("child");
    expect([parent, child, sibling].map(({ reason }) => reason?.cause)).toEqual([
      "parent",
      "child",
      "parent",
    ]);
  });

  it("rule 13: a callback or listener added by a callback is called in the same cancellation", () => {
    const log: string[] = [];
    const scope = createScope();
    const child = createScope(scope);
    scope.onCancel(() => {
      log.push("first");
      scope.onCancel(() => log.push("added"));
      child.onCancel(() => log.push("added below"));
      child.signal.addEventListener("abort", () => log.push("listener below"));
    });
    scope.onCancel(() => log.push("second"));
    scope.cancel();
    expect(log).toEqual(["first", "second", "added", "listener below", "added below"]);
  });

  it("rule 13: does not change the outcome of a worker that has returned in the same tick", async () => {
    const scope = createScope();
    const gate = deferred<string>();
    const task = spawn(scope, () => gate.promise);
    gate.resolve("value");
    scope.cancel();
    expect(await task).toBe("value");
    expect(task.status).toBe("succeeded");
    await scope.join();
  });

  it("rule 13: does nothing to a task whose worker has returned", async () => {
    const scope = createScope();
    const task = spawn(scope, () => "value");
    expect(task.cancel()).toBe(false);
    scope.cancel();
    expect(await task).toBe("value");
  });

  it("rule 13: of a queued task keeps its worker from being called", async () => {
    const scope = createScope({ concurrency: 1 });
    const worker = vi.fn<() => void>();
    const gate = deferred();
    spawn(scope, () => gate.promise);
    const queued = spawn(scope, worker);
    expect(queued.status).toBe("queued");
    expect(queued.cancel("not needed")).toBe(true);
    expect(queued.status).toBe("cancelled");
    gate.resolve();
    await scope.join();
    expect(worker).not.toHaveBeenCalled();
  });

  it("rule 13: during the cleanup aborts the signal, and the defers run to their end", async () => {
    const log: string[] = [];
    const scope = createScope();
    const gate = deferred();
    scope.defer(() => log.push("earlier"));
    scope.defer(async () => {
      await gate.promise;
      log.push(`cancelled ${scope.cancelled}`);
    });
    const joined = scope.join();
    await flush();
    expect(scope.state).toBe("closing");
    expect(scope.cancel("late")).toBe(true);
    expect(scope.state).toBe("cancelling");
    gate.resolve();
    await joined; // nothing was cut short
    expect(log).toEqual(["cancelled true", "earlier"]);
  });

  it("rule 1: waits for a child that does not listen, however long", async () => {
    const scope = createScope();
    const gate = deferred();
    spawn(scope, () => gate.promise);
    scope.cancel();
    const closed = scope.close();
    expect(await outcomeOf(closed)).toBe("pending");
    expect(scope.state).toBe("cancelling");
    gate.resolve();
    await closed;
    expect(scope.state).toBe("closed");
  });

  it("rule 2: lets a scope settle by itself, once its children have and its defers have run", async () => {
    const log: string[] = [];
    const scope = createScope();
    spawn(scope, untilCancelled).catch(() => log.push("child"));
    scope.defer(() => log.push("defer"));
    scope.cancel();
    await flush();
    expect(scope.state).toBe("closed");
    expect(log).toContain("defer");
  });

  it("rule 14: adds no listener to its own signal", () => {
    const scope = createScope();
    spawn(scope, untilCancelled).catch(() => undefined);
    expect(getEventListeners(scope.signal, "abort")).toHaveLength(0);
    scope.cancel();
  });
});

describe("onCancel()", () => {
  const error = new Error("of a callback");

  it("rule 14: a callback that throws does not stop the others, and is a failure of its scope", async () => {
    const log: string[] = [];
    const scope = createScope();
    const child = createScope(scope);
    scope.onCancel(() => log.push("before"));
    scope.onCancel(() => {
      throw error;
    });
    scope.onCancel(() => log.push("after"));
    child.onCancel(() => log.push("below"));
    scope.cancel("cause");
    expect(log).toEqual(["before", "after", "below"]);
    expect(scope.reason?.cause).toBe("cause");
    expect(scope.errors).toEqual([error]);
    expect(await rejection(scope.close())).toBe(error);
  });

  it("rule 14: a callback of a task that throws fails the task and so its parent", async () => {
    const scope = createScope();
    const sibling = spawn(scope, untilCancelled);
    const task = spawn(scope, (inner) => {
      inner.onCancel(() => {
        throw error;
      });
      return untilCancelled(inner);
    });
    task.cancel();
    expect(scope.reason).toMatchObject({ kind: "failure", cause: error });
    expect(await rejection(task)).toBe(error);
    expect(await rejection(sibling)).toBe(scope.reason);
    expect(await rejection(scope.close())).toBe(error);
  });

  it("rule 14: of several callbacks that throw, the first decides the failure and the later ones are suppressed", async () => {
    const scope = createScope();
    const second = new Error("second");
    for (const thrown of [error, second, error]) {
      scope.onCancel(() => {
        throw thrown;
      });
    }
    scope.cancel();
    expect(await rejection(scope.close())).toBe(error);
    expect(scope.errors).toEqual([error, second]);
  });

  it("gets the reason", () => {
    const scope = createScope();
    const callback = vi.fn<(reason: CancelledError) => void>();
    scope.onCancel(callback);
    scope.cancel();
    expect(callback.mock.calls).toEqual([[scope.reason]]);
  });

  it("stop() returns true only if it has prevented the call", () => {
    const scope = createScope();
    const callback = vi.fn<() => void>();
    const stop = scope.onCancel(callback);
    expect([stop(), stop()]).toEqual([true, false]);
    const late = scope.onCancel(callback);
    scope.cancel();
    expect(callback).toHaveBeenCalledOnce();
    expect(late()).toBe(false);
  });

  it("stop() works from an earlier callback and from the callback itself", () => {
    const scope = createScope();
    const results: boolean[] = [];
    const callback = vi.fn<() => void>();
    scope.onCancel(() => results.push(stopLater()));
    const stopItself = scope.onCancel(() => results.push(stopItself()));
    const stopLater = scope.onCancel(callback);
    scope.cancel();
    expect(results).toEqual([true, false]);
    expect(callback).not.toHaveBeenCalled();
  });

  it("stop() works in any order, for any of many", () => {
    const scope = createScope();
    const called: number[] = [];
    const stops = Array.from({ length: 6 }, (_, index) => scope.onCancel(() => called.push(index)));
    for (const index of [0, 5, 2]) expect(stops[index]?.()).toBe(true);
    scope.onCancel(() => called.push(6));
    scope.cancel();
    expect(called).toEqual([1, 3, 4, 6]);
  });

  it("the same callback twice is called twice", () => {
    const scope = createScope();
    const callback = vi.fn<() => void>();
    scope.onCancel(callback);
    scope.onCancel(callback);
    scope.cancel();
    expect(callback).toHaveBeenCalledTimes(2);
  });

  it("calls back before it returns in a scope that is cancelled already", () => {
    const scope = createScope();
    scope.cancel();
    const callback = vi.fn<() => void>();
    const stop = scope.onCancel(callback);
    expect(callback).toHaveBeenCalledOnce();
    expect(stop()).toBe(false);
  });

  it("in a cancelling scope a late callback that throws is a failure of the scope", async () => {
    const scope = createScope();
    const gate = deferred();
    spawn(scope, () => gate.promise);
    scope.cancel();
    scope.onCancel(() => {
      throw error;
    });
    gate.resolve();
    expect(await rejection(scope.close())).toBe(error);
  });

  it("never calls back in a scope that has ended without being cancelled, and stop() prevented nothing twice", async () => {
    const scope = createScope();
    const before = vi.fn<() => void>();
    const stopBefore = scope.onCancel(before);
    await scope.join();
    const after = vi.fn<() => void>();
    const stopAfter = scope.onCancel(after);
    scope.cancel();
    expect(before).not.toHaveBeenCalled();
    expect(after).not.toHaveBeenCalled();
    expect([stopBefore(), stopBefore(), stopAfter(), stopAfter()]).toEqual([true, false, true, false]);
  });
});

describe("a rejection in a cancelled scope", () => {
  /** The outcome of a worker that rejects with the error that `make` creates from the reason. */
  async function endOf(make: (reason: CancelledError) => unknown): Promise<"cancelled" | "failed"> {
    const scope = createScope();
    const task = spawn(
      scope,
      (inner) => new Promise((_, reject) => inner.onCancel((reason) => reject(make(reason)))),
    );
    scope.cancel();
    const closed = scope.close();
    const outcome = await outcomeOf(closed);
    expect(outcome).toBe(task.status === "failed" ? "rejected" : "resolved");
    return task.status as "cancelled" | "failed";
  }

  const circular = new Error("circular");
  circular.cause = circular;

  it("rule 12: counts as cancellation when it is the reason, has it among its causes, or is named AbortError", async () => {
    expect(await endOf((reason) => reason)).toBe("cancelled");
    expect(await endOf((reason) => new Error("wrapped", { cause: reason }))).toBe("cancelled");
    expect(await endOf((reason) => new Error("1", { cause: new Error("2", { cause: reason }) }))).toBe(
      "cancelled",
    );
    expect(await endOf(() => new DOMException("aborted", "AbortError"))).toBe("cancelled");
    expect(await endOf(() => Object.assign(new Error("aborted"), { name: "AbortError" }))).toBe("cancelled");
  });

  it("rule 12: every other error is a failure", async () => {
    expect(await endOf(() => new Error("other"))).toBe("failed");
    expect(await endOf(() => new Error("other", { cause: "text" }))).toBe("failed");
    expect(await endOf(() => circular)).toBe("failed");
    expect(await endOf(() => "AbortError")).toBe("failed");
    expect(await endOf(() => undefined)).toBe("failed");
    expect(await endOf(() => new DOMException("late", "TimeoutError"))).toBe("failed");
  });

  it("rule 12: an error whose properties throw is a failure, and breaks nothing", async () => {
    const nasty = new Proxy(new Error("nasty"), {
      get: (target, key) => {
        if (key === "name" || key === "cause") throw new Error("trap");
        return Reflect.get(target, key) as unknown;
      },
    });
    expect(await endOf(() => nasty)).toBe("failed");
  });

  it("rule 12: in a scope that is not cancelled an AbortError is a failure like any other", async () => {
    const error = new DOMException("aborted", "AbortError");
    expect(await rejection(withScope((scope) => void spawn(scope, () => Promise.reject(error))))).toBe(error);
  });

  it("rule 12: the cancellation of another scope is a failure", async () => {
    const scope = createScope();
    const sibling = spawn(scope, untilCancelled);
    const task = spawn(scope, () => sibling);
    sibling.cancel("by itself");
    const error = await rejection(scope.join());
    expect(isCancelled(error)).toBe(true);
    expect(scope.errors).toEqual([error]);
    expect(task.status).toBe("failed");
    expect(sibling.status).toBe("cancelled");
  });

  it("rule 12: fetch, timers and events.once end as cancelled", async () => {
    const scope = createScope();
    const tasks = [
      spawn(scope, ({ signal }) => delay(100_000, undefined, { signal })),
      spawn(scope, ({ signal }) => once(new EventEmitter(), "never", { signal })),
      spawn(scope, async ({ signal }) => {
        await flush();
        signal.throwIfAborted();
      }),
    ];
    scope.cancel();
    await scope.close();
    expect(tasks.map(({ status }) => status)).toEqual(["cancelled", "cancelled", "cancelled"]);
  });
});

describe("isCancellation", () => {
  const driverError = new Error("the driver was told to stop");
  const saysDriver = (error: unknown): boolean => error === driverError;

  /** Cancels a scope with these options in which a worker then rejects with `error`. */
  async function cancelled(options: ScopeOptions, error: unknown): Promise<Scope> {
    const scope = createScope(options);
    spawn(scope, (own) => new Promise((_, reject) => own.onCancel(() => reject(error))));
    scope.cancel();
    await scope.close().catch(() => undefined);
    return scope;
  }

  it("rule 12: decides which other errors count as the cancellation, and receives the error and the reason", async () => {
    const isCancellation = vi.fn<(error: unknown, reason: CancelledError) => boolean>(saysDriver);
    const scope = await cancelled({ isCancellation }, driverError);
    expect(scope.errors).toEqual([]);
    expect(isCancellation.mock.calls).toEqual([[driverError, scope.reason]]);
  });

  it("rule 12: is called only in a cancelled scope, and not for an error that counts as the cancellation anyway", async () => {
    const isCancellation = vi.fn<() => boolean>(() => true);
    expect(await rejection(withScope({ isCancellation }, () => Promise.reject(driverError)))).toBe(
      driverError,
    );
    await cancelled({ isCancellation }, new DOMException("aborted", "AbortError"));
    expect(isCancellation).not.toHaveBeenCalled();
  });

  it("rule 12: is inherited by everything below, also by tasks, shields and scopes that do not set it", async () => {
    const outer = createScope({ isCancellation: saysDriver });
    const inner = createScope(outer, { isCancellation: () => false });
    const rejectLater = (own: Scope): Promise<never> =>
      new Promise((_, reject) => own.onCancel(() => reject(driverError)));
    const tasks = [
      spawn(outer, (task) => spawn(task, rejectLater)),
      spawn(outer, (task) => withScope(task, rejectLater)),
      spawn(inner, rejectLater),
    ];
    outer.cancel();
    await outer.close();
    expect(tasks.map(({ status }) => status)).toEqual(["cancelled", "cancelled", "cancelled"]);
    expect([...outer.errors, ...inner.errors]).toEqual([]);
  });

  it("rule 12: of a scope does not apply to the scopes above it", async () => {
    const outer = createScope();
    createScope(outer, { isCancellation: saysDriver });
    spawn(outer, (own) => new Promise((_, reject) => own.onCancel(() => reject(driverError))));
    outer.cancel();
    expect(await rejection(outer.close())).toBe(driverError);
  });

  it("rule 12: applies to the parts of an AggregateError, too", async () => {
    const abort = new DOMException("aborted", "AbortError");
    const error = new AggregateError([abort, driverError]);
    expect((await cancelled({ isCancellation: saysDriver }, error)).errors).toEqual([]);
    expect((await cancelled({}, error)).errors).toEqual([error]);
  });

  it("rule 12: fails the scope if it throws, in addition to the error that it was called with", async () => {
    const bug = new Error("a bug in the predicate");
    const outer = vi.fn<() => boolean>(() => true);
    const root = createScope({ isCancellation: outer, onError: () => undefined });
    const isCancellation = (): boolean => {
      throw bug;
    };
    const scope = createScope(root, { isCancellation });
    spawn(scope, (own) => new Promise((_, reject) => own.onCancel(() => reject(driverError))));
    scope.cancel();
    expect(await rejection(scope.close())).toBe(driverError);
    expect(scope.errors).toEqual([driverError, bug]);
    expect(suppressed(driverError)).toEqual([bug]);
    expect(outer).not.toHaveBeenCalled();
    await root.close();
  });

  it.each([undefined, "yes", 1, Promise.resolve(true)])(
    "rule 12: that returns %s, which is not a boolean, adds a TypeError to the error",
    async (answer) => {
      const isCancellation = (() => answer) as unknown as () => boolean;
      const { errors } = await cancelled({ isCancellation }, driverError);
      expect(errors[0]).toBe(driverError);
      expect(errors[1]).toBeInstanceOf(TypeError);
      expect(String(errors[1])).toContain("isCancellation must return a boolean, got");
      expect(errors).toHaveLength(2);
    },
  );

  it("rule 12: is called for a read that was pending when a stream was cancelled", async () => {
    const read = deferred<IteratorResult<number>>();
    const source = { [Symbol.asyncIterator]: () => ({ next: () => read.promise }) };
    const scope = createScope({ isCancellation: saysDriver });
    const mapped = map(scope, source, (n) => n);
    scope.cancel();
    read.reject(driverError);
    expect(await rejection(mapped)).toBe(scope.reason);
    await scope.close();
    expect(scope.errors).toEqual([]);
  });

  it("rule 12: a TypeError with any code is a failure, unless the reason is among its causes", async () => {
    const typeError = Object.assign(new TypeError("no"), { code: "ABORT_ERR" });
    expect((await cancelled({}, typeError)).errors).toEqual([typeError]);
    const scope = createScope();
    const task = spawn(
      scope,
      (own) =>
        new Promise((_, reject) => own.onCancel((cause) => reject(new TypeError("fetch failed", { cause })))),
    );
    scope.cancel();
    await scope.close();
    expect(task.status).toBe("cancelled");
  });
});
