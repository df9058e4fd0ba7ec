import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createScope, sleep, spawn, withScope, type ScopeHandle } from "../src/index.js";
import { deferred, flush, outcomeOf, rejection } from "./support/deferred.js";

// The runtime removes everything that it adds outside of itself: listeners on foreign signals, and timers.

/** A foreign signal that counts its listeners. */
function countedSignal(): {
  readonly controller: AbortController;
  readonly signal: AbortSignal;
  readonly counts: { added: number; removed: number };
} {
  const controller = new AbortController();
  const { signal } = controller;
  const counts = { added: 0, removed: 0 };
  const live = new Set<unknown>();
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...parameters: Parameters<typeof add>) => {
    counts.added += 1;
    live.add(parameters[1]);
    add(...parameters);
  };
  signal.removeEventListener = (...parameters: Parameters<typeof remove>) => {
    if (live.delete(parameters[1])) counts.removed += 1;
    remove(...parameters);
  };
  return { controller, signal, counts };
}

const error = new Error("boom");

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"] });
});

afterEach(() => {
  vi.useRealTimers();
});

/** Each way in which a scope with a signal, a deadline, a grace period, a task and a sleep can end. */
const endings: Record<string, (scope: ScopeHandle, abort: () => void) => unknown> = {
  "success, by join": (scope) => {
    vi.advanceTimersByTime(10);
    return scope.join();
  },
  close: (scope) => scope.close(),
  "close with a grace period": (scope) => scope.close({ grace: 100 }),
  disposal: (scope) => scope[Symbol.asyncDispose](),
  cancel: (scope) => scope.cancel(),
  "cancel, then close": (scope) => {
    scope.cancel();
    return scope.close();
  },
  "the failure of a child": (scope) => {
    spawn(scope, () => {
      throw error;
    });
    return scope.join().catch(() => undefined);
  },
  "the failure of a cleanup": (scope) => {
    scope.defer(() => {
      throw error;
    });
    return scope.close().catch(() => undefined);
  },
  "its deadline": () => vi.advanceTimersByTime(1000),
  "the foreign signal": (_, abort) => abort(),
};

describe("listeners on a foreign signal", () => {
  for (const [name, end] of Object.entries(endings)) {
    it(`rule 14: one is added and one removed when the scope ends by ${name}`, async () => {
      const { controller, signal, counts } = countedSignal();
      const scope = createScope({ signal, timeout: 1000, grace: 5000 });
      const task = spawn(scope, (inner) => sleep(inner, 10));
      expect(counts).toEqual({ added: 1, removed: 0 });
      await end(scope, () => controller.abort("gone"));
      await flush();
      await task.catch(() => undefined);
      expect(scope.state).toBe("closed");
      expect(counts).toEqual({ added: 1, removed: 1 });
    });
  }

  it("rule 14: one is added and one removed by withScope, whether its body succeeds, fails, or is cancelled", async () => {
    const { signal, counts } = countedSignal();
    await withScope({ signal }, () => "value");
    expect(counts).toEqual({ added: 1, removed: 1 });
    await withScope({ signal }, () => Promise.reject(error)).catch(() => undefined);
    expect(counts).toEqual({ added: 2, removed: 2 });
    await withScope({ signal }, (scope) => scope.cancel());
    expect(counts).toEqual({ added: 3, removed: 3 });
  });

  it("rule 14: a thousand scopes share one, which stays until the last of them has settled", async () => {
    const { signal, counts } = countedSignal();
    const scopes = Array.from({ length: 1000 }, () => createScope({ signal }));
    expect(counts).toEqual({ added: 1, removed: 0 });
    const last = scopes.pop() as ScopeHandle;
    await Promise.all(scopes.map((scope) => scope.close()));
    expect(counts).toEqual({ added: 1, removed: 0 });
    await last.close();
    expect(counts).toEqual({ added: 1, removed: 1 });
  });

  it("rule 14: a scope that follows the signal after all others have settled adds a new one, which works", async () => {
    const { controller, signal, counts } = countedSignal();
    await createScope({ signal }).close();
    const scope = createScope({ signal });
    expect(counts).toEqual({ added: 2, removed: 1 });
    controller.abort("gone");
    expect(scope.reason).toMatchObject({ kind: "signal", cause: "gone" });
    expect(counts).toEqual({ added: 2, removed: 2 });
  });

  it("rule 14: a cancelled scope keeps it until it has settled", async () => {
    const { signal, counts } = countedSignal();
    const scope = createScope({ signal });
    const gate = deferred();
    spawn(scope, () => gate.promise);
    scope.cancel();
    await flush();
    expect(scope.state).toBe("cancelling");
    gate.resolve();
    await flush();
    expect(scope.state).toBe("closed");
    expect(counts).toEqual({ added: 1, removed: 1 });
  });

  it("rule 14: a signal that has aborted gets none, and the body is not called", async () => {
    const { controller, signal, counts } = countedSignal();
    controller.abort("gone");
    const body = vi.fn<() => void>();
    expect(await rejection(withScope({ signal }, body))).toMatchObject({ kind: "signal", cause: "gone" });
    const scope = createScope({ signal });
    expect(scope.reason).toMatchObject({ kind: "signal", cause: "gone" });
    expect(body).not.toHaveBeenCalled();
    expect(counts).toEqual({ added: 0, removed: 0 });
  });

  it("rule 4: a scope that starts cancelled adds none", async () => {
    const { signal, counts } = countedSignal();
    const parent = createScope();
    parent.cancel();
    createScope(parent, { signal });
    await rejection(withScope(parent, { signal }, () => "never"));
    const early = createScope({ signal, timeout: 0 });
    expect(early.cancelled).toBe(true);
    expect(counts.added).toBe(counts.removed);
  });

  it("rule 13: an abort cancels every scope that follows, parents before children, with the signal's reason as cause", () => {
    const { controller, signal } = countedSignal();
    const log: string[] = [];
    const one = createScope({ name: "one", signal });
    const child = createScope(one, { name: "child" });
    const two = createScope({ name: "two", signal });
    for (const scope of [two, child, one])
      scope.onCancel((reason) => log.push(`${scope.name} ${reason.kind}`));
    const cause = new Error("gone");
    controller.abort(cause);
    expect(log).toEqual(["one signal", "child signal", "two signal"]);
    expect(one.reason?.cause).toBe(cause);
    expect(child.reason).toBe(one.reason);
    expect(two.reason?.cause).toBe(cause);
  });

  it("rule 13: a parent and a child that follow the same signal have the parent's reason, or one each, never none", () => {
    const { controller, signal, counts } = countedSignal();
    const parent = createScope({ signal });
    const child = createScope(parent, { signal });
    controller.abort();
    expect(child.reason).toBe(parent.reason);
    expect(counts).toEqual({ added: 1, removed: 1 });
  });

  it("rule 14: a callback that throws on an abort keeps no other scope from being cancelled", async () => {
    const { controller, signal } = countedSignal();
    const first = createScope({ signal });
    const second = createScope({ signal });
    first.onCancel(() => {
      throw error;
    });
    controller.abort();
    expect(second.cancelled).toBe(true);
    expect(await rejection(first.close())).toBe(error);
    await second.close();
  });

  it("rule 13: a scope can be closed by a listener of the very abort that cancels it", async () => {
    const { controller, signal, counts } = countedSignal();
    const scopes = [createScope({ signal }), createScope({ signal })] as const;
    let closed: Promise<void> | undefined;
    scopes[0].onCancel(() => {
      closed = scopes[1].close();
    });
    controller.abort();
    await closed;
    expect(scopes.map((scope) => scope.state)).toEqual(["closed", "closed"]);
    expect(counts).toEqual({ added: 1, removed: 1 });
  });
});

describe("listeners on a scope's own signal", () => {
  it("rule 14: a signal is not created before it is read", async () => {
    const made = vi.spyOn(globalThis, "AbortController");
    try {
      await withScope(async (scope) => {
        spawn(scope, () => 1);
        const task = spawn(scope, (inner) => sleep(inner, 1000));
        task.cancel();
        await task.catch(() => undefined);
      });
      expect(made).not.toHaveBeenCalled();
      createScope().signal.throwIfAborted();
      expect(made).toHaveBeenCalledOnce();
    } finally {
      made.mockRestore();
    }
  });

  it("rule 14: a task whose parent's signal is read adds no listener to it", async () => {
    const scope = createScope();
    const added = vi.spyOn(scope.signal, "addEventListener");
    const task = spawn(
      scope,
      (inner) => new Promise((_, reject) => inner.signal.addEventListener("abort", reject)),
    );
    await flush();
    expect(added).not.toHaveBeenCalled();
    scope.cancel();
    await task.catch(() => undefined);
    await scope.close().catch(() => undefined);
  });
});

describe("timers", () => {
  for (const [name, end] of Object.entries(endings)) {
    it(`rule 17: none is left when the scope ends by ${name}`, async () => {
      const controller = new AbortController();
      const scope = createScope({ signal: controller.signal, timeout: 1000, grace: 5000 });
      const child = createScope(scope, { timeout: 500 });
      spawn(child, (inner) => sleep(inner, 10), { timeout: 100 });
      spawn(scope, (inner) => sleep(inner, 10), { deadline: Date.now() + 200, daemon: true });
      void child.join().catch(() => undefined);
      expect(vi.getTimerCount()).toBeGreaterThan(3);
      await end(scope, () => controller.abort());
      await flush();
      expect(scope.state).toBe("closed");
      expect(vi.getTimerCount()).toBe(0);
    });
  }

  it("rule 17: none is left by a withScope that succeeds, fails, or exceeds its timeout", async () => {
    await withScope({ timeout: 1000 }, () => "value");
    expect(vi.getTimerCount()).toBe(0);
    await withScope({ timeout: 1000, grace: 5000 }, () => Promise.reject(error)).catch(() => undefined);
    expect(vi.getTimerCount()).toBe(0);
    const late = withScope({ timeout: 1000, grace: 5000 }, (scope) => sleep(scope, 9000));
    vi.advanceTimersByTime(1000);
    await rejection(late);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("rule 17: a deadline that is not earlier than an ancestor's sets none", async () => {
    const scope = createScope({ timeout: 1000 });
    const child = createScope(scope, { timeout: 2000 });
    createScope(child, { timeout: 1000 });
    expect(vi.getTimerCount()).toBe(1);
    expect(child.deadline).toBe(scope.deadline);
    await scope.close();
  });

  it("rule 17: a task that is cancelled in the queue leaves none", async () => {
    const scope = createScope({ concurrency: 1 });
    const gate = deferred();
    spawn(scope, () => gate.promise);
    const queued = spawn(scope, () => "never", { timeout: 1000 });
    expect(vi.getTimerCount()).toBe(1);
    queued.cancel();
    await rejection(queued);
    expect(vi.getTimerCount()).toBe(0);
    gate.resolve();
    await scope.close();
  });

  it("rule 17: none is left by a grace period, whether stuck work has ended or everything ended in time", async () => {
    const gate = deferred();
    const scope = createScope({ grace: 1000 });
    spawn(scope, () => gate.promise);
    const closing = scope.close();
    expect(vi.getTimerCount()).toBeGreaterThan(0);
    vi.advanceTimersByTime(1000);
    expect(await outcomeOf(closing)).toBe("rejected");
    expect(vi.getTimerCount()).toBe(0);
    gate.resolve();
    await scope.close();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("rule 17: an infinite timeout, deadline, grace period or sleep sets none", async () => {
    const scope = createScope({ timeout: Infinity, deadline: Infinity, grace: Infinity });
    const task = spawn(scope, (inner) => sleep(inner, Infinity), { timeout: Infinity });
    const gate = deferred();
    spawn(scope, () => gate.promise);
    const closing = scope.close({ grace: Infinity });
    expect(vi.getTimerCount()).toBe(0);
    gate.resolve();
    await closing;
    expect(task.status).toBe("cancelled");
  });
});
