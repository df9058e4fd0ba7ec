import { vi } from "vitest";
import { realIntervals } from "../../src/kernel/platform.js";

/**
 * Fakes the intervals of this process, including those by which bough watches its sockets. Other fake timers do not replace
 * the latter.
 *
 * @returns A function that restores them.
 */
export function fakeSweeps(): () => void {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  const { setInterval, clearInterval } = globalThis;
  const spies = [
    vi.spyOn(realIntervals, "setInterval").mockImplementation(setInterval),
    vi.spyOn(realIntervals, "clearInterval").mockImplementation(clearInterval),
  ];
  return () => {
    for (const spy of spies) spy.mockRestore();
    vi.useRealTimers();
  };
}
