import { elapsed } from "../kernel/monotonic-clock.js";
import { LongTimer } from "../kernel/long-timer.js";

/**
 * The clock by which leases are judged, in ms: monotonic, and the virtual one in a test. `Delivery.since` is on this clock.
 *
 * @returns The time of that clock.
 * @example
 * ```ts
 * const since = monotonicNow();
 * console.log(monotonicNow() >= since); // true
 * ```
 */
export function monotonicNow(): number {
  return elapsed();
}

/**
 * Calls `callback` after `ms`, on the clock of {@link monotonicNow}.
 *
 * @param isHeld - Whether the timer keeps the process alive.
 * @returns What stops it.
 */
export function after(ms: number, callback: () => void, isHeld = true): () => void {
  const timer = new LongTimer(Math.ceil(Math.max(ms, 0)), callback); // fake timers round down, and would be early
  if (!isHeld) timer.hold(false);
  return () => timer.clear();
}

/** Resolves after `ms`, on the clock of {@link monotonicNow}. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void after(ms, resolve));
}

/** A pause that can be ended early. */
export class Pause {
  #end: (() => void) | undefined;

  wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const stop = after(ms, () => this.end());
      this.#end = () => {
        stop();
        this.#end = undefined;
        resolve();
      };
    });
  }

  end(): void {
    this.#end?.();
  }
}

/** The engine did not answer within the limit. The call may still have its effect. */
class NoAnswerError extends Error {
  static {
    this.prototype.name = "NoAnswerError";
  }
}

/**
 * Waits for `promise`, for at most `ms`. Some clients keep a call pending as long as they are offline. Code that
 * decides about a lease must not wait for that.
 */
export function withTimeLimit<T>(promise: Promise<T>, ms: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = after(ms, () => reject(new NoAnswerError(`the engine did not answer within ${ms} ms`)));
    promise.then(
      (value) => {
        stop();
        resolve(value);
      },
      (error: unknown) => {
        stop();
        reject(error instanceof Error ? error : new Error(String(error)));
      },
    );
  });
}
