import { afterEach, beforeEach, expect, vi } from "vitest";
import { flush } from "./deferred.js";
import { collectUnhandled } from "./unhandled-rejections.js";

/**
 * Fakes the timeouts and the date in each test of a file, and fails a test that leaves a timer or an unhandled rejection.
 *
 * @param now - The date at the start of each test. Default: the real one.
 * @returns The unhandled rejections of the running test. A test that expects some takes them out.
 */
export function useFakeTime(now?: number): unknown[] {
  const unhandled = collectUnhandled();
  beforeEach(() => {
    vi.useFakeTimers({
      toFake: ["setTimeout", "clearTimeout", "Date"],
      ...(now === undefined ? {} : { now }),
    });
  });
  afterEach(async () => {
    await flush();
    const timers = vi.getTimerCount();
    vi.useRealTimers();
    // oxlint-disable-next-line vitest/no-standalone-expect -- holds for every test
    expect([unhandled, timers]).toEqual([[], 0]);
  });
  return unhandled;
}
