import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi, type MockInstance } from "vitest";
import { flush } from "../../test/support/deferred.js";
import type * as Clock from "./age-clock.js";

const loadedAt = 1_000_000;
let now: MockInstance<() => number>;
let clock: typeof Clock;

describe("the clock of ages", () => {
  beforeEach(async () => {
    vi.resetModules();
    now = vi.spyOn(Object.getPrototypeOf(performance) as typeof performance, "now").mockReturnValue(loadedAt);
    clock = await import("./age-clock.js"); // takes our clock for the real one
    now.mockReturnValue(loadedAt + 10);
  });

  afterEach(() => void vi.restoreAllMocks());

  it("is read once per synchronous burst", async () => {
    expect(clock.coarseTime()).toBe(10);
    now.mockReturnValue(loadedAt + 20);
    expect(clock.coarseTime()).toBe(10);
    await flush();
    expect(clock.coarseTime()).toBe(20);
  });

  it("counts for longer where code asks for it", async () => {
    let forget: (() => void) | undefined;
    clock.forgetCoarseTimeAfter((callback) => (forget = callback));
    expect(clock.coarseTime()).toBe(10);
    now.mockReturnValue(loadedAt + 20);
    await flush();
    expect(clock.coarseTime()).toBe(10);
    forget?.();
    expect(clock.coarseTime()).toBe(20);
  });

  it("is a test's where a test has one, goes on from where it was, and is not kept", () => {
    expect(clock.coarseTime()).toBe(10);
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    vi.advanceTimersByTime(500);
    expect(clock.coarseTime()).toBe(510);
    vi.advanceTimersByTime(100);
    expect(clock.coarseTime()).toBe(610);
    vi.useRealTimers();
    now.mockReturnValue(loadedAt + 15);
    expect(clock.coarseTime()).toBe(610);
    expect(clock.ageSince(600)).toBe(10);
  });

  it("makes no age negative", () => {
    now.mockReturnValue(loadedAt + 5);
    expect(clock.ageSince(10)).toBe(0);
    expect(clock.ageSince(2)).toBe(3);
  });
});
