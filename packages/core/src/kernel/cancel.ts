import { createReason, type CancelledError } from "../errors/cancelled.js";
import { describe } from "../errors/describe.js";
import { consistsOf, isForeignAbort, read } from "../errors/foreign-aborts.js";
import { cancelling } from "./diagnostics.js";
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
} from "./state.js";
import { watchGrace } from "./grace.js";
import { CallbackHook, takeHook, type Hook } from "./cancel-hooks.js";
import type { ScopeNode } from "./node.js";
import { Takeover } from "./rejections.js";
import { nextInSubtree } from "./tree.js";
import { unfinished } from "./interrupted-steps.js";

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
  try {
    mark(root, ready);
    if (telling < MOST_NESTED) tell(root, reason, from, waiting, ready);
    else late.push({ root, reason, nodes: untold.slice(from, waiting) as ScopeNode[] });
  } catch (error) {
    const { steps } = unfinished;
    steps[steps.length] = finishCancelling;
    steps[steps.length] = root;
    steps[steps.length] = error;
    unfinished.wake?.(undefined);
    unfinished.wake = undefined;
  } finally {
    waiting = from;
    if (from === 0 && untold.length > MOST_KEPT) untold.length = 0;
  }
  if (telling === 0 && late.length > 0) tellLate(ready);
}

/**
 * Who has been marked and not told yet, of all the cancellations under way: a listener of one can begin another, which
 * is through before the first goes on. One list for all, as most subtrees are smaller than a list of their own.
 */
const untold: (ScopeNode | undefined)[] = [];
let waiting = 0;
const MOST_KEPT = 1_000;

/** How many cancellations are telling their listeners, each begun by a listener of the one before. */
let telling = 0;
/** Beyond it a cancellation marks its subtree, and the outermost one tells its listeners: a chain needs no stack. */
const MOST_NESTED = 32;
const late: { root: ScopeNode; reason: CancelledError; nodes: readonly ScopeNode[] }[] = [];

function tellLate(ready: ScopeNode[]): void {
  for (let next = 0; next < late.length; next++) {
    const { root, reason, nodes } = late[next] as (typeof late)[number];
    const from = waiting;
    try {
      for (const node of nodes) untold[waiting++] = node;
      tell(root, reason, from, waiting, ready);
    } catch (error) {
      const { steps } = unfinished;
      steps[steps.length] = finishCancelling;
      steps[steps.length] = root;
      steps[steps.length] = error;
      unfinished.wake?.(undefined);
      unfinished.wake = undefined;
    } finally {
      waiting = from;
    }
    ready.push(root, ...nodes.filter((node) => (node.flags & BODY) === 0));
  }
  late.length = 0;
}

/** Tells `root`, and then the nodes of a stretch of {@link untold}. */
function tell(root: ScopeNode, reason: CancelledError, from: number, end: number, ready: ScopeNode[]): void {
  telling += 1;
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
    telling -= 1;
  }
}

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

/** Goes on with a cancellation that was interrupted, wherever that was. Collects in `ready` as {@link cancelTree} does. */
export function resumeCancelling(root: ScopeNode, ready: ScopeNode[]): void {
  const { reason } = root;
  if (reason === undefined) return;
  const nodes = [root];
  for (let node = root.first; node !== undefined;) {
    const isCancelled = (node.flags & CANCELLED) !== 0;
    const skip = (node.flags & (CLOSED | SHIELD)) !== 0 || (isCancelled && node.reason !== reason);
    if (!skip) {
      if (!isCancelled) node.flags |= CANCELLED | NOTIFYING;
      nodes.push(node);
    }
    node = nextInSubtree(root, node, skip);
  }
  for (const node of nodes) {
    if ((node.flags & NOTIFYING) === 0) continue;
    if (node === root || node.rarely?.settings?.grace !== undefined) watchGrace(node);
    notify(node, reason, ready);
  }
  for (const node of nodes) if ((node.flags & BODY) === 0) ready.push(node);
  if (telling === 0 && late.length > 0) tellLate(ready);
}

function finishCancelling(root: ScopeNode): void {
  const ready: ScopeNode[] = [];
  resumeCancelling(root, ready);
  for (const node of ready) unfinished.advance(node);
}

function notify(node: ScopeNode, reason: CancelledError, ready: ScopeNode[]): void {
  if (node.rarely?.controller !== undefined) abort(node, node.rarely.controller, reason);
  for (let hook = takeHook(node); hook !== undefined; hook = takeHook(node))
    runHook(node, hook, reason, ready);
  node.flags &= ~NOTIFYING;
  const late = node.rarely?.controller; // a hook may have been the first to read the signal
  if (late?.signal.aborted === false) abort(node, late, reason);
}

function abort(node: ScopeNode, controller: AbortController, reason: CancelledError): void {
  try {
    controller.abort(reason);
  } catch (error) {
    const { steps } = unfinished;
    steps[steps.length] = finishAborting;
    steps[steps.length] = node;
    steps[steps.length] = error;
    unfinished.wake?.(undefined);
    unfinished.wake = undefined;
  }
}

/** An overflow in the platform's `abort`: the signal may be aborted already, with listeners that have not heard of it. */
function finishAborting(node: ScopeNode): void {
  const controller = node.rarely?.controller;
  if (controller?.signal.aborted === true) controller.signal.dispatchEvent(new Event("abort"));
  else controller?.abort(node.reason);
}

/** Runs a hook of a cancelled node. What it throws is a failure of the node. */
export function runHook(node: ScopeNode, hook: Hook, reason: CancelledError, ready: ScopeNode[]): void {
  try {
    hook.run(reason);
  } catch (error) {
    try {
      // One of the runtime's own, which may be run twice, unless that is what it did; see finishHook.
      if (!(hook instanceof CallbackHook)) throw error;
      failTree(node, error, ready);
    } catch {
      const finish = hook instanceof CallbackHook ? failAgain : finishHook;
      const value = hook instanceof CallbackHook ? error : hook;
      const { steps } = unfinished;
      steps[steps.length] = finish;
      steps[steps.length] = node;
      steps[steps.length] = value;
      unfinished.wake?.(undefined);
      unfinished.wake = undefined;
    }
  }
}

/** A hook of the runtime's that had no room to run. */
function finishHook(node: ScopeNode, hook: Hook): void {
  try {
    hook.run(node.reason as CancelledError);
  } catch (error) {
    failAgain(node, error);
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

/** Does again what {@link failTree} does, which may have been interrupted on its way up. */
export function failAgain(node: ScopeNode, error: unknown): void {
  const ready: ScopeNode[] = [];
  const takeover = Takeover.of(error);
  let top = node;
  for (record(top, error, node, takeover); isParentsAffair(top); record(top, error, node, takeover))
    top = top.parent as ScopeNode;
  if ((top.flags & CLOSED) !== 0) return;
  if ((top.flags & CANCELLED) !== 0) resumeCancelling(top, ready);
  else cancelTree(top, createReason("failure", top.path, error), ready);
  for (const each of [...ready, top]) unfinished.advance(each);
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
