import { realNow, realTimers, turn as realTurn } from "../../kernel/platform.js";

// The functions from when the package was loaded, since the fake timers of a test must not stop the check that runs
// after it.

/** Milliseconds on a clock that fake timers don't replace. */
export const now: () => number = realNow;

export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => realTimers.setTimeout(resolve, ms));
}

/** One turn of the event loop, in which closed handles and finalizers have their callbacks. */
export const turn: () => Promise<void> = realTurn;

/** Calls `callback` after `ms` real milliseconds. Returns a function that prevents the call. */
export function realTimer(ms: number, callback: () => void): () => void {
  const timer = realTimers.setTimeout(callback, ms);
  return () => realTimers.clearTimeout(timer);
}
