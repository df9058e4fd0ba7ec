import { describe, expect, it, vi } from "vitest";
import { beBusy } from "../../../test/support/busy.js";
import { deferred, flush, outcomeOf, rejection } from "../../../test/support/deferred.js";
import { untilCancelled } from "../../../test/support/until-cancelled.js";
import {
  createContextKey,
  createScope,
  DeadlineExceededError,
  ScopeClosedError,
  shield,
  sleep,
  spawn,
  withScope,
  type Scope,
} from "../../index.js";
import { useFakeTime } from "../../../test/support/fake-time.js";

useFakeTime();

describe("shield()", () => {
  it("rule 23: keeps its body and the tasks in it from being cancelled from outside", async () => {
    const scope = createScope();
    const gate = deferred();
    let seen: unknown;
    const result = shield(scope, { timeout: 100 }, async (own) => {
      const task = spawn(own, async (inner) => {
        await gate.promise;
        return inner.cancelled;
      });
      seen = [await task, own.cancelled, own.signal.aborted, own.reason];
      return "done";
    });
    scope.cancel();
    gate.resolve();
    expect(await result).toBe("done");
    expect(seen).toEqual([false, false, false, undefined]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("rule 23: makes the enclosing scope wait", async () => {
    const scope = createScope();
    const gate = deferred();
    const result = shield(scope, { timeout: 100 }, () => gate.promise);
    const closed = scope.close();
    expect(await outcomeOf(closed)).toBe("pending");
    expect(scope.state).toBe("cancelling");
    gate.resolve();
    await result;
    await closed;
  });

  it("rule 23: rejects with the outer reason when its time is up, counted from entry", async () => {
    const scope = createScope();
    const result = rejection(shield(scope, { timeout: 100 }, (own) => sleep(own, 1_000)));
    vi.advanceTimersByTime(80);
    scope.cancel("enough");
    vi.advanceTimersByTime(19);
    expect(await outcomeOf(result)).toBe("pending");
    vi.advanceTimersByTime(1);
    expect(await result).toBe(scope.reason);
  });

  it("rule 23: is cancelled by its timeout with kind deadline when the outer scope was not cancelled", async () => {
    const scope = createScope();
    const result = rejection(shield(scope, { timeout: 100 }, (own) => sleep(own, 1_000)));
    vi.advanceTimersByTime(100);
    expect(await result).toBeInstanceOf(DeadlineExceededError);
    expect([scope.cancelled, scope.errors]).toEqual([false, []]);
    await scope.join();
  });

  it("rule 23: lets values through", async () => {
    const key = createContextKey<string>("key");
    const scope = createScope();
    scope.set(key, "value");
    expect(await shield(scope, { timeout: 100 }, (own) => own.get(key))).toBe("value");
    await scope.close();
  });

  it.each<[string, (scope: Scope) => unknown]>([
    ["cancelled", (scope) => scope.cancel()],
    ["closing", () => undefined],
  ])("rule 23: works in a defer of a scope that is %s", async (_, end) => {
    const scope = createScope();
    let goodbye: unknown;
    scope.defer(async () => {
      goodbye = await shield(scope, { timeout: 100 }, async (own) => {
        await sleep(own, 50);
        return own.cancelled;
      });
    });
    end(scope);
    const joined = scope.join();
    await flush();
    vi.advanceTimersByTime(50);
    await joined;
    expect(goodbye).toBe(false);
    expect(scope.state).toBe("closed");
  });

  it("keeps its scope from ending if a defer has not awaited it", async () => {
    const scope = createScope();
    const gate = deferred();
    scope.defer(() => void shield(scope, { timeout: 100 }, () => gate.promise));
    const closed = scope.close();
    expect(await outcomeOf(closed)).toBe("pending");
    gate.resolve();
    await closed;
  });

  it("works in a worker whose scope is cancelled already", async () => {
    const scope = createScope();
    const task = spawn(scope, async (own) => {
      await untilCancelled(own).catch(() => undefined);
      return shield(own, { timeout: 100 }, (inner) => inner.cancelled);
    });
    scope.cancel();
    expect(await task).toBe(false);
  });

  it("has its own deadline, and ignores those of enclosing scopes", async () => {
    const now = Date.now();
    const seen = await withScope({ timeout: 50 }, (scope) =>
      shield(scope, { timeout: 100 }, (own) =>
        withScope(own, { timeout: 1_000 }, (inner) => {
          beBusy(60);
          inner.throwIfCancelled();
          return [own.deadline, inner.deadline, scope.deadline];
        }),
      ),
    );
    expect(seen).toEqual([now + 100, now + 100, now + 50]);
  });

  it("detects its own deadline by the clock", async () => {
    const scope = createScope();
    const result = shield(scope, { timeout: 100 }, (own) => {
      beBusy(100);
      own.throwIfCancelled();
    });
    expect(await rejection(result)).toBeInstanceOf(DeadlineExceededError);
    await scope.close();
  });

  it("can be cancelled from inside, which cancels only itself", async () => {
    const scope = createScope();
    const error = await rejection(
      shield(scope, { timeout: 100 }, (own) => {
        own.cancel("inside");
        return untilCancelled(own);
      }),
    );
    expect(error).toMatchObject({ kind: "explicit", cause: "inside" });
    expect(scope.cancelled).toBe(false);
    await scope.close();
  });

  it("reports its failure to the caller only, and cancels the tasks inside", async () => {
    const scope = createScope();
    const failure = new Error("goodbye");
    let kind: string | undefined;
    const result = shield(scope, { timeout: 100 }, (own) => {
      own.onCancel((reason) => (kind = reason.kind));
      spawn(own, () => Promise.reject(failure));
      return untilCancelled(own);
    });
    expect(await rejection(result)).toBe(failure);
    expect(kind).toBe("failure");
    expect(scope.errors).toEqual([]);
    await scope.close();
  });

  it("does not shield its siblings, or a scope inside that is cancelled", async () => {
    const scope = createScope();
    const sibling = spawn(scope, untilCancelled);
    const gate = deferred();
    const result = shield(scope, { timeout: 100 }, async (own) => {
      const task = spawn(own, untilCancelled);
      task.cancel();
      await rejection(task);
      await gate.promise;
      return task.status;
    });
    scope.cancel();
    expect(await rejection(sibling)).toBe(scope.reason);
    gate.resolve();
    expect(await result).toBe("cancelled");
  });

  it("can be nested: the inner one rejects with the reason of the outer one", async () => {
    const scope = createScope();
    const outer = rejection(
      shield(scope, { timeout: 100 }, async (own) => {
        const error = await rejection(shield(own, { timeout: 200 }, (inner) => sleep(inner, 1_000)));
        expect(error).toBe(own.reason);
        throw error;
      }),
    );
    scope.cancel();
    vi.advanceTimersByTime(150);
    expect(await outcomeOf(outer)).toBe("pending");
    vi.advanceTimersByTime(50);
    expect(await outer).toBe(scope.reason);
  });

  it("does not call its body with a timeout of 0", async () => {
    const scope = createScope();
    let called = false;
    const error = await rejection(shield(scope, { timeout: 0 }, () => (called = true)));
    expect(error).toBeInstanceOf(DeadlineExceededError);
    expect(called).toBe(false);
    await scope.join();
  });

  it("rejects in a scope that is closed", async () => {
    const [closed, cancelled] = [createScope(), createScope()];
    await closed.close();
    cancelled.cancel();
    for (const scope of [closed, cancelled]) {
      expect(await rejection(shield(scope, { timeout: 1 }, () => 1))).toBeInstanceOf(ScopeClosedError);
    }
  });

  it.each<[string, unknown, unknown, typeof Error]>([
    ["options that are none", undefined, () => 1, TypeError],
    ["no timeout", {}, () => 1, TypeError],
    ["a negative timeout", { timeout: -1 }, () => 1, RangeError],
    ["an infinite timeout", { timeout: Infinity }, () => 1, RangeError],
    ["no function", { timeout: 1 }, 1, TypeError],
  ])("rejects %s", async (_, options, fn, type) => {
    const scope = createScope();
    expect(await rejection(shield(scope, options as never, fn as never))).toBeInstanceOf(type);
    await scope.join();
  });

  it("rejects a value that is not a scope", async () => {
    expect(await rejection(shield({} as Scope, { timeout: 1 }, () => 1))).toBeInstanceOf(TypeError);
  });
});
