import { vi } from "vitest";

/** Lets `ms` milliseconds of vitest's fake time pass in which the process is busy: no timer has its turn. */
export function beBusy(ms: number): void {
  const fake = setTimeout as unknown as { clock: { performance: { now(): number } } };
  const { performance } = fake.clock;
  const now = performance.now() + ms;
  vi.spyOn(performance, "now").mockReturnValue(now);
}
