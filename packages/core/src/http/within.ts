import type { realTimers } from "../kernel/platform.js";
import { LongTimer } from "../kernel/long-timer.js";

/**
 * Whether `promise` settles within so many milliseconds; rejects with it.
 *
 * @param timers - For what is no matter of the user's time, but of sockets, which follow no fake timers.
 */
export async function within(
  ms: number,
  promise: Promise<void>,
  timers?: typeof realTimers,
): Promise<boolean> {
  let clear: () => void = () => {};
  const late = new Promise<boolean>((resolve) => {
    if (ms === Infinity) return;
    const onLate = (): void => resolve(false);
    if (timers === undefined) {
      const timer = new LongTimer(ms, onLate);
      clear = () => timer.clear();
    } else {
      const timer = timers.setTimeout(onLate, ms);
      clear = () => timers.clearTimeout(timer);
    }
  });
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    clear();
  }
}
