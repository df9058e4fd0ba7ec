import { outOfRange, requireType, checkDuration } from "../../errors/validate.js";

/** How long to wait before the n-th repetition; complete. */
export interface Backoff {
  readonly minDelay: number;
  readonly maxDelay: number;
  readonly factor: number;
  readonly jitter: boolean;
}

/** The options that say so. */
export interface BackoffOptions {
  readonly minDelay?: number | undefined;
  readonly maxDelay?: number | undefined;
  readonly factor?: number | undefined;
  readonly jitter?: boolean | undefined;
}

/** @throws {TypeError | RangeError} If an option is bad. */
export function backoffOf(operation: string, options: BackoffOptions): Backoff {
  const { minDelay = 100, maxDelay = 30_000, factor = 2, jitter = true } = options;
  checkDuration(operation, "minDelay", minDelay);
  checkDuration(operation, "maxDelay", maxDelay);
  requireType(operation, "factor", "number", factor);
  if (!(factor >= 1)) throw outOfRange(operation, "factor must be at least 1", factor);
  requireType(operation, "jitter", "boolean", jitter);
  return { minDelay, maxDelay, factor, jitter };
}

/** The delay before repetition `count`, the first being 1, in ms. With jitter between half of it and all of it. */
export function delayBefore(count: number, { minDelay, maxDelay, factor, jitter }: Backoff): number {
  const full = Math.min(maxDelay, minDelay === 0 ? 0 : minDelay * factor ** (count - 1));
  return jitter && full !== Infinity ? full / 2 + (Math.random() * full) / 2 : full;
}
