import { sleep, type Scope } from "../index.js";
import { SessionClosed } from "./debugging-session.js";
import { CannotInspect, isRunning } from "./processes.js";

/** How long a process may take to exit after its connections have closed, in ms, and how often to check. */
const EXIT_TIMEOUT = 1_000;
const POLL_INTERVAL = 20;

/**
 * Returns if the call failed because the process has ended. Rethrows any other error.
 *
 * @param error - The error of the call.
 * @throws {CannotInspect} If the process still runs and has only closed its inspector.
 */
export async function rethrowUnlessEnded(scope: Scope, pid: number, error: unknown): Promise<void> {
  if (!(error instanceof SessionClosed)) throw error;
  for (let waited = 0; isRunning(pid); waited += POLL_INTERVAL) {
    if (waited >= EXIT_TIMEOUT)
      throw new CannotInspect(`Process ${pid} has closed its inspector, and still runs.`);
    await sleep(scope, POLL_INTERVAL);
  }
}
