import { isCancelled, sleep, withScope, type Scope, type Worker } from "bough";
import { Cron } from "croner";

/** Runs `job` at the times of `pattern`, one run at a time, until `scope` is cancelled. */
export async function cron(
  scope: Scope,
  pattern: string,
  job: Worker<unknown>,
  onError: (error: unknown) => void,
): Promise<void> {
  const schedule = new Cron(pattern);
  for (let next = schedule.nextRun(); next !== null;) {
    await sleep(scope, Math.max(0, next.getTime() - Date.now()));
    try {
      await withScope(scope, { name: `cron ${pattern}`, timeout: 300_000 }, job);
    } catch (error) {
      if (isCancelled(error, scope)) throw error; // the schedule itself was cancelled
      onError(error);
    }
    next = schedule.nextRun(new Date(Math.max(next.getTime(), Date.now()))); // a long run skips the times it missed
  }
}

// spawn(scope, (task) => cron(task, "0 3 * * *", removeOldFiles, console.error), { name: "nightly", daemon: true });
