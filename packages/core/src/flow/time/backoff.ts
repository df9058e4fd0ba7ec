import { outOfRange, requireType, checkDuration } from "../../errors/validate.js";

/** The delays between repetitions, with all defaults filled in. */
export interface Backoff {
  readonly minDelay: number;
  readonly maxDelay: number;
  readonly factor: number;
  readonly jitter: boolean;
}

/** The options of a {@link Backoff}. */
export interface BackoffOptions {
  readonly minDelay?: number | undefined;
  readonly maxDelay?: number | undefined;
  readonly factor?: number | undefined;
  readonly jitter?: boolean | undefined;
}

/**
 * Checks the options and fills in the defaults.
 *
 * @throws {TypeError | RangeError} If an option is bad.
 */
export function readBackoff(operation: string, options: BackoffOptions): Backoff {
  const { minDelay = 100, maxDelay = 30_000, factor = 2, jitter = true } = options;
  checkDuration(operation, "minDelay", minDelay);
  checkDuration(operation, "maxDelay", maxDelay);
  requireType(operation, "factor", "number", factor);
  if (!(factor >= 1)) throw outOfRange(operation, "factor must be at least 1", factor);
  requireType(operation, "jitter", "boolean", jitter);
  return { minDelay, maxDelay, factor, jitter };
}

/** The delay in ms before repetition `count`, which counts from 1. With jitter, a random one from half of it to all of it. */
export function delayBefore(count: number, { minDelay, maxDelay, factor, jitter }: Backoff): number {
  const full = Math.min(maxDelay, minDelay === 0 ? 0 : minDelay * factor ** (count - 1));
  return jitter && full !== Infinity ? full / 2 + (Math.random() * full) / 2 : full;
}
