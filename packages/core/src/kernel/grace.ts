import { StuckTasksError } from "../errors/scope-errors.js";
import { publishStuck } from "./diagnostics.js";
import { isUnderGrace } from "./state.js";
import { stuckTasks } from "./blockers.js";
import type { ScopeNode, Waiter } from "./node.js";
import { hasOnError, report } from "./outcome.js";
import { LongTimer } from "./long-timer.js";
import { warn } from "./warn.js";

/**
 * Starts the grace period of a cancelled node: its own, otherwise the nearest ancestor's. If the node has not settled
 * at its end, its stuck tasks are reported, unless a pending `close()` reports them.
 */
export function watchGrace(node: ScopeNode): void {
  if (!isUnderGrace(node)) return;
  const grace = nearestGrace(node);
  if (grace === undefined) return;
  const settings = node.ensureSettings();
  settings.graceTimer = new LongTimer(
    grace,
    () => {
      for (const waiter of settings.waiters ?? []) if (waiter.graceTimer !== undefined) return;
      reportStuck(node, stuckError(node, grace));
    },
    node,
  );
}

/** Starts the grace period of one `close()` call. */
export function watchClose(node: ScopeNode, waiter: Waiter, own: number | undefined): void {
  const grace = own ?? nearestGrace(node);
  if (grace === undefined || grace === Infinity) return;
  waiter.graceTimer = new LongTimer(
    grace,
    () => {
      const settings = node.ensureSettings();
      settings.waiters = settings.waiters?.filter((other) => other !== waiter);
      settings.graceTimer?.clear(); // this call is the receiver
      const error = stuckError(node, grace);
      publishStuck(node, error.tasks);
      waiter.reject(error);
    },
    node,
  );
}

/** A stuck task is not a failure: without an `onError` it is a warning, and does not end the process. */
function reportStuck(node: ScopeNode, error: StuckTasksError): void {
  publishStuck(node, error.tasks);
  if (hasOnError(node)) report(node, error, node);
  else warn("BoughStuckWarning", "BOUGH_STUCK_TASKS", error.message);
}

function nearestGrace(node: ScopeNode): number | undefined {
  for (let at: ScopeNode | undefined = node; at !== undefined; at = at.parent) {
    const grace = at.extras?.settings?.grace;
    if (grace !== undefined) return grace;
  }
  return undefined;
}

/** Creates the error that names the unfinished work of `node`, `elapsed` ms after its cancellation. */
function stuckError(node: ScopeNode, elapsed: number): StuckTasksError {
  return new StuckTasksError(node.path, elapsed, stuckTasks(node));
}
