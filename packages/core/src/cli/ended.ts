import { sleep, type Scope } from "../index.js";
import { SessionClosed } from "./debugging-session.js";
import { CannotInspect, isRunning } from "./processes.js";

/** How long a process may take to be gone after its connections, in ms, and how often to look. */
const GONE = 1_000;
const STEP = 20;

/**
 * Returns if a call failed because the process has ended.
 *
 * @param error - What the call failed with. If it has another reason, it is thrown again.
 * @throws {CannotInspect} If the process is still there, and only its inspector is not.
 */
export async function rethrowUnlessEnded(scope: Scope, pid: number, error: unknown): Promise<void> {
  if (!(error instanceof SessionClosed)) throw error;
  for (let waited = 0; isRunning(pid); waited += STEP) {
    if (waited >= GONE) throw new CannotInspect(`Process ${pid} has closed its inspector, and still runs.`);
    await sleep(scope, STEP);
  }
}
