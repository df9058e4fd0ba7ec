import { afterEach, beforeEach, describe, expect, it, vi, type MockInstance } from "vitest";
import { flush } from "../../test/support/deferred.js";
import type * as Clock from "./clock.js";

const loadedAt = 1_000_000;
let now: MockInstance<() => number>;
let clock: typeof Clock;

describe("the clock of ages", () => {
  beforeEach(async () => {
    vi.resetModules();
    now = vi.spyOn(Date, "now").mockReturnValue(loadedAt);
    clock = await import("./clock.js"); // takes our clock for the real one
    now.mockReturnValue(loadedAt + 10);
  });

  afterEach(() => void vi.restoreAllMocks());

  it("is read once per synchronous burst", async () => {
    expect(clock.burstTime()).toBe(10);
    now.mockReturnValue(loadedAt + 20);
    expect(clock.burstTime()).toBe(10);
    await flush();
    expect(clock.burstTime()).toBe(20);
  });

  it("counts for longer where somebody says so", async () => {
    let forget: (() => void) | undefined;
    clock.setBurst((callback) => (forget = callback));
    expect(clock.burstTime()).toBe(10);
    now.mockReturnValue(loadedAt + 20);
    await flush();
    expect(clock.burstTime()).toBe(10);
    forget?.();
    expect(clock.burstTime()).toBe(20);
  });

  it("is a test's where a test has one, and is not kept", () => {
    const before = clock.burstTime();
    const { now: real } = Date;
    Date.now = () => loadedAt + 500;
    expect(clock.burstTime()).toBe(500);
    Date.now = () => loadedAt + 600;
    expect(clock.burstTime()).toBe(600);
    Date.now = real;
    expect(clock.burstTime()).toBe(before);
  });

  it("makes nobody's age negative when the system's clock is set back", async () => {
    now.mockReturnValue(loadedAt - 1_000);
    expect(clock.burstTime()).toBe(0);
    now.mockReturnValue(loadedAt + 5);
    expect(clock.ageSince(10)).toBe(0);
    expect(clock.ageSince(2)).toBe(3);
  });
});
