import { nameOfError } from "../errors/describe.js";
import { elapsed } from "./age-clock.js";
import type { ScopeNode, SurvivedFailures } from "./node.js";
import { HANDLE, SUPERVISE } from "./state.js";

/** How many times are kept: as many as a report may name. */
const MAX_TIMES = 16;

/** The failures that have not failed a scope: each led to another run, or the scope supervises its tasks. */
class FailureLog implements SurvivedFailures {
  /** Failures that led to another run, by `supervise` or `retry`. */
  restarts = 0;
  /** Failures of tasks that a supervising scope has kept from its other tasks. */
  kept = 0;
  /** The name of the last error. Its message may contain data. */
  lastError = "";
  /** When the last ones happened, the newest last, in ms on the clock of `elapsed()`. */
  readonly times: number[] = [];

  record(error: unknown): void {
    this.lastError = nameOfError(error);
    this.times.push(elapsed());
    if (this.times.length > MAX_TIMES) this.times.shift();
  }
}

/** A run in `node` has failed, and may be followed by another one. */
export function recordFailedRun(node: ScopeNode, error: unknown): void {
  const survived = survivedFailuresOf(node);
  survived.restarts += 1;
  survived.record(error);
}

/** A task has failed whose failure does not reach `parent`. Counts it where somebody has asked for that: not in `allSettled`. */
export function recordSupervisedFailure(parent: ScopeNode, error: unknown): void {
  if ((parent.flags & SUPERVISE) === 0) return;
  if ((parent.flags & HANDLE) === 0 && parent.extras?.settings?.survived === undefined) return;
  const survived = survivedFailuresOf(parent);
  survived.kept += 1;
  survived.record(error);
}

/** The scope was told to supervise its tasks. */
export function survivedFailuresOf(node: ScopeNode): SurvivedFailures {
  return (node.ensureSettings().survived ??= new FailureLog());
}
