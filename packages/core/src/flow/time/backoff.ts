import { describe } from "../../errors/describe.js";
import { checkDuration } from "../../task/options.js";

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
  if (typeof factor !== "number") {
    throw new TypeError(`${operation}: factor must be a number, got ${describe(factor)}`);
  }
  if (!(factor >= 1))
    throw new RangeError(`${operation}: factor must be at least 1, got ${describe(factor)}`);
  if (typeof jitter !== "boolean") {
    throw new TypeError(`${operation}: jitter must be a boolean, got ${describe(jitter)}`);
  }
  return { minDelay, maxDelay, factor, jitter };
}

/** The delay before repetition `count`, the first being 1, in ms. With jitter between half of it and all of it. */
export function delayBefore(count: number, { minDelay, maxDelay, factor, jitter }: Backoff): number {
  const full = Math.min(maxDelay, minDelay === 0 ? 0 : minDelay * factor ** (count - 1));
  return jitter && full !== Infinity ? full / 2 + (Math.random() * full) / 2 : full;
}

/** A count: a whole number from `least`, or `Infinity`. */
export function checkCount(operation: string, name: string, value: unknown, least: number): void {
  if (typeof value !== "number") {
    throw new TypeError(`${operation}: ${name} must be a number, got ${describe(value)}`);
  }
  if (value === Infinity || (Number.isInteger(value) && value >= least)) return;
  throw new RangeError(`${operation}: ${name} must be a whole number from ${least}, got ${describe(value)}`);
}

export function checkFunction(operation: string, name: string, value: unknown): void {
  if (typeof value === "function") return;
  throw new TypeError(`${operation}: ${name} must be a function, got ${describe(value)}`);
}
