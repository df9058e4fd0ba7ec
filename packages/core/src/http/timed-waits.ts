import type { realTimers } from "../kernel/platform.js";
import { LongTimer } from "../kernel/long-timer.js";
import type { ScopeNode } from "../kernel/node.js";

// Waits with a time limit: for a promise, and for the cancellation of a scope.

/**
 * Whether `promise` settles within `ms` milliseconds. Rejects if `promise` does.
 *
 * @param timers - The platform's own timers, to wait for sockets, which don't follow fake timers. Default: the current
 * global timers.
 */
export async function settlesWithin(
  ms: number,
  promise: Promise<void>,
  timers?: typeof realTimers,
): Promise<boolean> {
  let clear: () => void = () => {};
  const timeout = new Promise<boolean>((resolve) => {
    if (ms === Infinity) return;
    const onTimeout = (): void => resolve(false);
    if (timers === undefined) {
      const timer = new LongTimer(ms, onTimeout);
      clear = () => timer.clear();
    } else {
      const timer = timers.setTimeout(onTimeout, ms);
      clear = () => timers.clearTimeout(timer);
    }
  });
  try {
    return await Promise.race([promise.then(() => true), timeout]);
  } finally {
    clear();
  }
}

/** Resolves after `ms` milliseconds, or when the scope is cancelled. */
export function untilCancelled(node: ScopeNode, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const finish = (): void => {
      timer.clear();
      stop();
      resolve();
    };
    const timer = new LongTimer(ms, finish);
    const stop = node.onCancel(finish);
  });
}
