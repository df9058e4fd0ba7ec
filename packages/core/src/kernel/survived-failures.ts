import { MAX_FAILURE_TIMES } from "./constants.js";
import { nameOfError } from "../errors/describe.js";
import { elapsed } from "./monotonic-clock.js";
import type { ScopeNode, SurvivedFailures } from "./node.js";
import { hasHandle, isSupervising } from "./state.js";

/** The failures that did not fail a scope: they led to another run, or the scope supervises its tasks. */
class FailureLog implements SurvivedFailures {
  /** Failures that led to another run, by `supervise` or `retry`. */
  restarts = 0;
  /** Failures of tasks that a supervising scope did not pass on. */
  kept = 0;
  /** The name of the last error. Its message may contain data. */
  lastError = "";
  /** When the last ones happened, the newest last, in ms on the clock of `elapsed()`. */
  readonly times: number[] = [];

  record(error: unknown): void {
    this.lastError = nameOfError(error);
    this.times.push(elapsed());
    if (this.times.length > MAX_FAILURE_TIMES) this.times.shift();
  }
}

/** Records that a run in `node` has failed. Another run may follow. */
export function recordFailedRun(node: ScopeNode, error: unknown): void {
  const survived = survivedFailuresOf(node);
  survived.restarts += 1;
  survived.record(error);
}

/**
 * Records the failure of a task that does not fail `parent`, if the user chose to supervise. `allSettled` does not
 * count.
 */
export function recordSupervisedFailure(parent: ScopeNode, error: unknown): void {
  if (!isSupervising(parent)) return;
  if (!hasHandle(parent) && parent.extras?.settings?.survived === undefined) return;
  const survived = survivedFailuresOf(parent);
  survived.kept += 1;
  survived.record(error);
}

/** Returns the log of a node, which is created on the first call. */
export function survivedFailuresOf(node: ScopeNode): SurvivedFailures {
  return (node.ensureSettings().survived ??= new FailureLog());
}
