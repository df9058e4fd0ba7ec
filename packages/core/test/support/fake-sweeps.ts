import { vi } from "vitest";
import { realIntervals } from "../../src/kernel/platform.js";

/**
 * Fakes the intervals of this process, and with them those by which bough watches its sockets. Those are real otherwise,
 * whatever a test fakes.
 *
 * @returns What makes them real again.
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
