import { createReason, type CancelledError } from "../errors/cancelled.js";
import { describe } from "../errors/describe.js";
import { consistsOf, isForeignAbort, read } from "../errors/foreign-aborts.js";
import { cancelling } from "./channels.js";
import {
  BACKGROUND,
  BODY,
  CANCELLED,
  CLOSED,
  HAS_JUDGE,
  NOTIFYING,
  SHIELD,
  SUPERVISE,
  TASK,
} from "./flags.js";
import { watchGrace } from "./grace.js";
import { takeHook, type Hook } from "./hook.js";
import type { ScopeNode } from "./node.js";
import { Takeover } from "./rejections.js";
import { nextInSubtree } from "./tree.js";

/**
 * Cancels `root` and everything below it, in two passes and without recursion:
 *
 * 1. mark every descendant, so that nobody sees a half-cancelled tree (no code of a user's runs meanwhile);
 * 2. fire signals and run hooks, parents first, children in spawn order.
 *
 * A subtree that was cancelled before keeps its own reason, and one that is shielded stays as it is. When the
 * listeners are through, `root` may be able to settle, and so may the nodes below it that are appended to `ready`: the
 * caller advances them.
 */
export function cancelTree(root: ScopeNode, reason: CancelledError, ready: ScopeNode[]): void {
  root.ownReason = reason;
  root.flags |= CANCELLED | NOTIFYING;
  const from = waiting;
  mark(root, ready);
  const end = waiting;
  try {
    cancelling(root, reason);
    watchGrace(root);
    notify(root, reason, ready);
    for (let index = from; index < end; index++) {
      const node = untold[index] as ScopeNode;
      untold[index] = undefined;
      if (node.rarely?.settings?.grace !== undefined) watchGrace(node);
      notify(node, reason, ready);
    }
  } finally {
    waiting = from;
    if (from === 0 && untold.length > MOST_KEPT) untold.length = 0;
  }
}

/**
 * Who has been marked and not told yet, of all the cancellations under way: a listener of one can begin another, which
 * is through before the first goes on. One list for all, as most subtrees are smaller than a list of their own.
 */
const untold: (ScopeNode | undefined)[] = [];
let waiting = 0;
const MOST_KEPT = 1_000;

/** Marks what is below `root`. */
function mark(root: ScopeNode, ready: ScopeNode[]): void {
  for (let node = root.first; node !== undefined;) {
    const skip = (node.flags & (CANCELLED | CLOSED | SHIELD)) !== 0;
    if (!skip) {
      node.flags |= CANCELLED;
      const resting = (node.flags & BODY) === 0;
      if (resting || node.hooks !== undefined || node.rarely !== undefined) {
        node.flags |= NOTIFYING;
        untold[waiting++] = node;
        if (resting) ready.push(node); // a running body settles its node itself
      }
    }
    node = nextInSubtree(root, node, skip);
  }
}

function notify(node: ScopeNode, reason: CancelledError, ready: ScopeNode[]): void {
  node.rarely?.controller?.abort(reason);
  for (let hook = takeHook(node); hook !== undefined; hook = takeHook(node))
    runHook(node, hook, reason, ready);
  node.flags &= ~NOTIFYING;
  const late = node.rarely?.controller; // a hook may have been the first to read the signal
  if (late?.signal.aborted === false) late.abort(reason);
}

/** Runs a hook of a cancelled node. What it throws is a failure of the node. */
export function runHook(node: ScopeNode, hook: Hook, reason: CancelledError, ready: ScopeNode[]): void {
  try {
    hook.run(reason);
  } catch (error) {
    failTree(node, error, ready);
  }
}

/**
 * Records a failure of `node`, lets every scope above hear of it that it concerns, and cancels the topmost of
 * them. A task's failure is its parent's, at once and not when the task has settled, unless the parent
 * supervises; a `withScope` and a handle keep theirs, for whoever awaits them.
 */
export function failTree(
  node: ScopeNode,
  error: unknown,
  ready: ScopeNode[],
  origin: ScopeNode = node,
): void {
  const takeover = Takeover.of(error);
  let top = node;
  while (record(top, error, origin, takeover) && isParentsAffair(top)) top = top.parent as ScopeNode;
  if ((top.flags & (CANCELLED | CLOSED)) !== 0) return;
  ready.push(top);
  cancelTree(top, createReason("failure", top.path, error), ready);
}

/** Whether the failures of `node` are its parent's, who hears of them as they happen. */
export function isParentsAffair(node: ScopeNode): boolean {
  return (node.flags & TASK) !== 0 && ((node.parent as ScopeNode).flags & (SUPERVISE | BACKGROUND)) === 0;
}

/** Says whether the failure is news: then it is news for the scopes above, too. */
function record(node: ScopeNode, error: unknown, origin: ScopeNode, takeover: Takeover | undefined): boolean {
  const rare = node.rare();
  if (rare.errors === undefined) {
    rare.errors = new Map();
    takeover?.by(node);
  }
  if (rare.errors.has(error)) return false;
  rare.errors.set(error, origin);
  return true;
}

/** How many causes deep to look; a chain can be circular. */
const MAX_CAUSES = 100;

/**
 * Whether, in a cancelled scope, a rejection is the cancellation coming back rather than a failure (rule 12):
 *
 * 1. it is the reason, or has it among its causes, as `timers/promises` and `events.once` reject. That holds for a
 *    TypeError, too: whoever has put our reason there says where the error comes from;
 * 2. it is what a known client rejects with after an abort: see `errors/foreign-aborts.ts`;
 * 3. an option `isCancellation`, of this scope or of one above, says so;
 * 4. it is an AggregateError or a SuppressedError of nothing but such errors.
 *
 * @param broken - Receives what an option `isCancellation` has thrown. The rejection is a failure then, and so are these:
 *   the caller records them after it.
 */
export function isCancellation(node: ScopeNode, error: unknown, broken: unknown[]): boolean {
  const { reason } = node;
  if (error === reason || hasCause(error, reason) || isForeignAbort(error)) return true;
  if ((node.flags & HAS_JUDGE) === 0)
    return consistsOf(error, (part) => part === reason || hasCause(part, reason) || isForeignAbort(part));
  if (saysUser(node, error, broken)) return true;
  const isOne = (part: unknown): boolean =>
    part === reason || hasCause(part, reason) || isForeignAbort(part) || saysUser(node, part, broken);
  return broken.length === 0 && consistsOf(error, isOne) && broken.length === 0;
}

function hasCause(error: unknown, reason: CancelledError | undefined): boolean {
  let at = error;
  for (let depth = 0; depth < MAX_CAUSES && typeof at === "object" && at !== null; depth++) {
    at = read(at, "cause");
    if (at === reason) return true;
  }
  return false;
}

/** Asks the options `isCancellation` from `node` up to the root, until one says yes. */
function saysUser(node: ScopeNode, error: unknown, broken: unknown[]): boolean {
  const reason = node.reason as CancelledError;
  for (let at: ScopeNode | undefined = node; at !== undefined; at = at.parent) {
    const judge = at.rarely?.settings?.isCancellation;
    if (judge === undefined) continue;
    try {
      const verdict: unknown = judge(error, reason);
      if (verdict === true) return true;
      if (verdict !== false) throw notBoolean(verdict);
    } catch (thrown) {
      broken.push(thrown);
      return false;
    }
  }
  return false;
}

function notBoolean(verdict: unknown): TypeError {
  const hint =
    verdict instanceof Promise ? " (it can't be async: it is asked when the scope is settling)" : "";
  return new TypeError(`isCancellation must return a boolean, got ${describe(verdict)}${hint}`);
}
