import { createDeadlineReason } from "../errors/cancelled.js";
import { CANCELLED, CLOSED, HAS_DEADLINE, HAS_TIMER, SHIELD, TIMED_OUT } from "./flags.js";
import type { ScopeNode } from "./node.js";
import { cancelWith } from "./settle.js";
import { LongTimer } from "./timer.js";
import { holdProcess } from "./tree.js";

/**
 * Gives a new node its own deadline. One that is no earlier than an ancestor's is dropped, so the nearest node
 * that has one has the earliest. The node is cancelled at once if the deadline has passed.
 */
export function setDeadline(node: ScopeNode, deadline: number): void {
  const now = Date.now();
  const outer = (node.flags & SHIELD) === 0 ? nearestDeadline(node.parent) : undefined;
  const outerDeadline = outer?.rarely?.settings?.deadline ?? Infinity;
  if (outer !== undefined && outerDeadline <= deadline) {
    // A busy process may be past it without its timer having fired.
    if (outerDeadline <= now) expire(outer);
    return;
  }
  const settings = node.settings();
  settings.deadline = deadline;
  node.flags |= HAS_DEADLINE;
  if (deadline <= now) return expire(node);
  settings.deadlineTimer = new LongTimer(deadline - now, () => expire(node));
  node.flags |= HAS_TIMER;
  holdProcess(node);
}

export function effectiveDeadline(node: ScopeNode): number | undefined {
  return nearestDeadline(node)?.rarely?.settings?.deadline;
}

/** Cancels what has run out of time on the way to the root, by the clock and not by the timer. */
export function checkDeadline(node: ScopeNode): void {
  const owner = nearestDeadline(node);
  if (owner !== undefined && (owner.rarely?.settings?.deadline as number) <= Date.now()) expire(owner);
}

function nearestDeadline(node: ScopeNode | undefined): ScopeNode | undefined {
  if (node === undefined || (node.flags & HAS_DEADLINE) === 0) return undefined;
  let at: ScopeNode | undefined = node;
  while (at !== undefined && at.rarely?.settings?.deadline === undefined) at = at.parent;
  return at;
}

function expire(node: ScopeNode): void {
  if ((node.flags & (CANCELLED | CLOSED)) !== 0) return;
  node.flags |= TIMED_OUT;
  const outer = (node.flags & SHIELD) === 0 ? undefined : node.parent?.reason;
  cancelWith(node, outer ?? createDeadlineReason(node.path, node.rarely?.settings?.deadline as number));
}
