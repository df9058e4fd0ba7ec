import { vi } from "vitest";

/** Waits until `check` passes. The limit is for a test that fails, and not for a machine that is slow. */
export function eventually<T>(check: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(check, { timeout: 30_000, interval: 20 });
}
