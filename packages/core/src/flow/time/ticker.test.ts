import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { outcomeOf, rejection, thrown } from "../../../test/support/deferred.js";
import { collectGarbage } from "../../testing/index.js";
import { createScope, ticker, withScope, type Scope } from "../../index.js";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"], now: 1_000 });
});

afterEach(() => {
  vi.useRealTimers();
});

describe("ticker()", () => {
  it("ticks at its times, with the instants as values", async () => {
    const scope = createScope();
    const ticks = ticker(scope, 100);
    for (const instant of [1_100, 1_200]) {
      const next = ticks.next();
      vi.advanceTimersByTime(99);
      expect(await outcomeOf(next)).toBe("pending");
      vi.advanceTimersByTime(1);
      expect(await next).toEqual({ done: false, value: instant });
    }
    await scope.close();
  });

  it("drops ticks that nobody waits for, and keeps its schedule", async () => {
    const scope = createScope();
    const ticks = ticker(scope, 100);
    vi.advanceTimersByTime(250);
    const next = ticks.next();
    expect(await outcomeOf(next)).toBe("pending");
    vi.advanceTimersByTime(50);
    expect(await next).toEqual({ done: false, value: 1_300 });
    await scope.close();
  });

  it("has a timer only while next() is pending", async () => {
    const scope = createScope();
    const ticks = ticker(scope, 100);
    expect(vi.getTimerCount()).toBe(0);
    const next = ticks.next();
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(100);
    await next;
    expect(vi.getTimerCount()).toBe(0);
    await scope.close();
  });

  it("gives each of several waiting readers a tick, and none twice when a timer fires early", async () => {
    const scope = createScope();
    const ticks = ticker(scope, 100);
    const both = Promise.all([ticks.next(), ticks.next()]);
    vi.advanceTimersByTime(200);
    expect((await both).map(({ value }) => value)).toEqual([1_100, 1_200]);
    vi.setSystemTime(1_199);
    const next = ticks.next();
    vi.advanceTimersByTime(101);
    expect(await next).toEqual({ done: false, value: 1_300 });
    await scope.close();
  });

  it("rejects with the reason when its scope is cancelled, clears its timer, and is over", async () => {
    const scope = createScope();
    const ticks = ticker(scope, 100);
    const next = ticks.next();
    scope.cancel();
    expect(await rejection(next)).toBe(scope.reason);
    expect(vi.getTimerCount()).toBe(0);
    expect(await ticks.next()).toEqual({ done: true, value: undefined });
  });

  it("rejects with the reason in a scope that is cancelled already", async () => {
    const scope = createScope();
    scope.cancel();
    expect(await rejection(ticker(scope, 100).next())).toBe(scope.reason);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("ends with its loop, and removes its pending waits", async () => {
    const scope = createScope();
    const ticks = ticker(scope, 100);
    const next = ticks.next();
    expect(await ticks.return?.()).toEqual({ done: true, value: undefined });
    expect(await next).toEqual({ done: true, value: undefined });
    expect(vi.getTimerCount()).toBe(0);
    expect(await ticks.next()).toEqual({ done: true, value: undefined });
    await scope.join();
  });

  it("keeps no tick alive that was read", async () => {
    const scope = createScope();
    const ticks = ticker(scope, 100);
    const take = async (): Promise<WeakRef<object>> => {
      const next = ticks.next();
      vi.advanceTimersByTime(100);
      await next;
      return new WeakRef(next);
    };
    const taken = [await take(), await take(), await take()];
    await collectGarbage();
    expect(taken.map((ref) => ref.deref())).toEqual([undefined, undefined, undefined]);
    await ticks.return?.();
    await scope.close();
  });

  it("never ticks with Infinity, and does not keep its scope from ending", async () => {
    const scope = createScope();
    const next = ticker(scope, Infinity).next();
    expect(await outcomeOf(next)).toBe("pending");
    expect(vi.getTimerCount()).toBe(0);
    scope.cancel();
    await rejection(next);
    await withScope((own) => void ticker(own, 1).next());
  });

  it.each([
    [0, RangeError],
    [-1, RangeError],
    [NaN, RangeError],
    [undefined, TypeError],
    ["1", TypeError],
  ])("throws for %s ms", (ms, type) => {
    expect(thrown(() => ticker(createScope({ onOrphan: "ignore" }), ms as number))).toBeInstanceOf(type);
  });

  it("throws for a value that is not a scope", () => {
    expect(thrown(() => ticker({} as Scope, 1))).toBeInstanceOf(TypeError);
  });
});
