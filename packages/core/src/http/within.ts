import { LongTimer } from "../kernel/timer.js";

/** Whether `promise` settles within so many milliseconds; rejects with it. */
export async function within(ms: number, promise: Promise<void>): Promise<boolean> {
  let timer: LongTimer | undefined;
  const late = new Promise<boolean>((resolve) => {
    if (ms !== Infinity) timer = new LongTimer(ms, () => resolve(false));
  });
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    timer?.clear();
  }
}
