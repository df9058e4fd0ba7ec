import { MAX_MARKED_KEPT, MAX_NESTED_CANCELLATIONS } from "./constants.js";
import { createReason, stampReason, type CancelledError } from "../errors/cancelled.js";
import { CallbackHook, takeHook } from "./cancel-hooks.js";
import { publishCancel } from "./diagnostics.js";
import { watchGrace } from "./grace.js";
import { interrupted, interruptedSteps } from "./interrupted-steps.js";
import type { CancelHook, ScopeNode } from "./node.js";
import { calendarNow } from "./platform.js";
import { earlierRejectionOf, type ContinueRejection } from "./suppressed-failures.js";
import type { SignalController } from "./signal-controller.js";
import { recordSupervisedFailure } from "./survived-failures.js";
import {
  beginNotifying,
  canBeCancelledFromAbove,
  endNotifying,
  failsWithTasks,
  hasRunningBody,
  isCancelled,
  isClosed,
  isLive,
  isNotifying,
  isShield,
  isTask,
  markCancelled,
  markNotifying,
} from "./state.js";
import { nextInSubtree } from "./tree.js";

// The half of the life cycle that goes down the tree: cancel and fail. The other half, settling, goes up the tree: see
// lifecycle.ts, whose header has the states and the order of the notifications.

/**
 * Cancels `root` and everything below it, in two passes and without recursion:
 *
 * 1. mark every descendant. No user code runs meanwhile, so none sees a half-cancelled tree;
 * 2. fire signals and run hooks, parents first, children in spawn order.
 *
 * A subtree that was cancelled before keeps its own reason, and a shielded subtree is left alone. Afterwards `root` may be
 * able to settle, and so may the nodes below it that were appended to `ready`: the caller advances them.
 */
export function cancelTree(root: ScopeNode, reason: CancelledError, ready: ScopeNode[]): void {
  markAndNotify(root, reason, undefined, ready);
  if (nesting === 0 && postponed.length > 0) notifyPostponed(ready);
}

/** Runs both passes. With `nodes`, which an earlier call has marked and postponed, runs only the second. */
function markAndNotify(
  root: ScopeNode,
  reason: CancelledError,
  nodes: readonly ScopeNode[] | undefined,
  ready: ScopeNode[],
): void {
  const from = markedEnd;
  if (nodes === undefined) {
    root.ownReason = reason;
    beginNotifying(root);
  }
  try {
    if (nodes === undefined) markSubtree(root, ready);
    else for (const node of nodes) marked[markedEnd++] = node;
    if (nesting < MAX_NESTED_CANCELLATIONS) notifySubtree(root, reason, from, markedEnd, ready);
    else postponed.push({ root, reason, nodes: marked.slice(from, markedEnd) as ScopeNode[] });
  } catch (error) {
    interruptedSteps[interruptedSteps.length] = finishCancelling;
    interruptedSteps[interruptedSteps.length] = root;
    interruptedSteps[interruptedSteps.length] = error;
    interrupted.wake(undefined);
  } finally {
    while (markedEnd > from) marked[--markedEnd] = undefined; // otherwise they would keep settled nodes alive
    if (from === 0 && marked.length > MAX_MARKED_KEPT) marked.length = 0;
  }
}

/**
 * A stack of the nodes that are marked and not yet notified. All running cancellations share it: a listener of one can
 * begin another, which completes before the first continues. An array for each would be larger than most subtrees.
 */
const marked: (ScopeNode | undefined)[] = [];
let markedEnd = 0;

/** The number of nested cancellations: each was begun by a listener of another. */
let nesting = 0;
const postponed: { root: ScopeNode; reason: CancelledError; nodes: readonly ScopeNode[] }[] = [];

function notifyPostponed(ready: ScopeNode[]): void {
  for (let next = 0; next < postponed.length; next++) {
    const { root, reason, nodes } = postponed[next] as (typeof postponed)[number];
    markAndNotify(root, reason, nodes, ready);
    ready.push(root);
    for (const node of nodes) if (!hasRunningBody(node)) ready.push(node); // a spread could be too long
  }
  postponed.length = 0;
}

/** Notifies `root`, and then the nodes of {@link marked} between two indices. */
function notifySubtree(
  root: ScopeNode,
  reason: CancelledError,
  from: number,
  end: number,
  ready: ScopeNode[],
): void {
  nesting += 1;
  try {
    if (reason.at === undefined) stampReason(reason, calendarNow());
    publishCancel(root, reason);
    watchGrace(root);
    notify(root, reason, ready);
    for (let index = from; index < end; index++) {
      const node = marked[index] as ScopeNode;
      if (node.extras?.settings?.grace !== undefined) watchGrace(node);
      notify(node, reason, ready);
    }
  } finally {
    nesting -= 1;
  }
}

/** Marks the nodes below `root` as cancelled. Those with something to notify go to {@link marked}. */
function markSubtree(root: ScopeNode, ready: ScopeNode[]): void {
  for (let node = root.first; node !== undefined;) {
    const skip = !canBeCancelledFromAbove(node);
    if (!skip) {
      markCancelled(node);
      const hasEnded = !hasRunningBody(node);
      if (hasEnded || node.hooks !== undefined || node.extras !== undefined) {
        markNotifying(node);
        marked[markedEnd++] = node;
        if (hasEnded) ready.push(node); // a running body settles its node itself
      }
    }
    node = nextInSubtree(root, node, skip);
  }
}

/** Continues an interrupted cancellation from any point. Appends to `ready` like {@link cancelTree}. */
export function resumeCancelling(root: ScopeNode, ready: ScopeNode[]): void {
  const { reason } = root;
  if (reason === undefined) return;
  const nodes = [root];
  for (let node = root.first; node !== undefined;) {
    const wasCancelled = isCancelled(node);
    const skip = isClosed(node) || isShield(node) || (wasCancelled && node.reason !== reason);
    if (!skip) {
      if (!wasCancelled) beginNotifying(node);
      nodes.push(node);
    }
    node = nextInSubtree(root, node, skip);
  }
  for (const node of nodes) {
    if (!isNotifying(node)) continue;
    if (node === root || node.extras?.settings?.grace !== undefined) watchGrace(node);
    notify(node, reason, ready);
  }
  for (const node of nodes) if (!hasRunningBody(node)) ready.push(node);
  if (nesting === 0 && postponed.length > 0) notifyPostponed(ready);
}

function finishCancelling(root: ScopeNode, _error: unknown, ready: ScopeNode[]): void {
  resumeCancelling(root, ready);
}

function notify(node: ScopeNode, reason: CancelledError, ready: ScopeNode[]): void {
  if (node.extras?.controller !== undefined) abort(node, node.extras.controller, reason);
  for (let hook = takeHook(node); hook !== undefined; hook = takeHook(node))
    runHook(node, hook, reason, ready);
  endNotifying(node);
  const late = node.extras?.controller; // a hook may have been the first to read the signal
  if (late?.signal.aborted === false) abort(node, late, reason);
}

function abort(node: ScopeNode, controller: SignalController, reason: CancelledError): void {
  try {
    controller.abort(reason);
  } catch (error) {
    interruptedSteps[interruptedSteps.length] = finishAborting;
    interruptedSteps[interruptedSteps.length] = node;
    interruptedSteps[interruptedSteps.length] = error;
    interrupted.wake(undefined);
  }
}

/** After an overflow in the platform's `abort`: the signal may be aborted, with listeners that were not notified. */
function finishAborting(node: ScopeNode): void {
  const controller = node.extras?.controller;
  if (controller?.signal.aborted === true) controller.signal.dispatchEvent(new Event("abort"));
  else controller?.abort(node.reason);
}

/** Runs a hook of a cancelled node. An exception is a failure of the node. */
export function runHook(node: ScopeNode, hook: CancelHook, reason: CancelledError, ready: ScopeNode[]): void {
  try {
    hook.run(reason);
  } catch (error) {
    try {
      // A hook of the runtime throws only when the stack has no room for it, and may be run twice; see finishHook.
      if (!(hook instanceof CallbackHook)) throw error;
      failTree(node, error, ready);
    } catch {
      const finish = hook instanceof CallbackHook ? resumeFail : finishHook;
      const value = hook instanceof CallbackHook ? error : hook;
      interruptedSteps[interruptedSteps.length] = finish;
      interruptedSteps[interruptedSteps.length] = node;
      interruptedSteps[interruptedSteps.length] = value;
      interrupted.wake(undefined);
    }
  }
}

/** Runs a hook of the runtime that had no room to run. */
function finishHook(node: ScopeNode, hook: CancelHook, ready: ScopeNode[]): void {
  try {
    hook.run(node.reason as CancelledError);
  } catch (error) {
    resumeFail(node, error, ready);
  }
}

/**
 * Records a failure in `node` and in every ancestor that it reaches, and cancels the topmost of them. The failure of a task
 * reaches its parent, at once and not when the task has settled, unless the parent supervises. A `withScope` and a handle
 * keep their failures for the caller that awaits them.
 */
export function failTree(
  node: ScopeNode,
  error: unknown,
  ready: ScopeNode[],
  origin: ScopeNode = node,
): void {
  const earlier = earlierRejectionOf(error);
  let top = node;
  while (record(top, error, origin, earlier) && failsParent(top)) top = top.parent as ScopeNode;
  if (!isLive(top)) return;
  if (isTask(top)) recordSupervisedFailure(top.parent as ScopeNode, error);
  ready.push(top);
  cancelTree(top, createReason("failure", top.path, error), ready);
}

/** Repeats {@link failTree}, which may have been interrupted on its way up. */
export function resumeFail(node: ScopeNode, error: unknown, ready: ScopeNode[]): void {
  const earlier = earlierRejectionOf(error);
  let top = node;
  for (record(top, error, node, earlier); failsParent(top); record(top, error, node, earlier))
    top = top.parent as ScopeNode;
  if (isClosed(top)) return;
  if (isCancelled(top)) resumeCancelling(top, ready);
  else cancelTree(top, createReason("failure", top.path, error), ready);
  ready.push(top);
}

/** Whether a failure of `node` immediately fails its parent, too. */
export function failsParent(node: ScopeNode): boolean {
  return isTask(node) && failsWithTasks(node.parent as ScopeNode);
}

/** Returns whether the failure is new for `node`; only then can it be new for the ancestors. */
function record(
  node: ScopeNode,
  error: unknown,
  origin: ScopeNode,
  earlier: ContinueRejection | undefined,
): boolean {
  const extras = node.ensureExtras();
  if (extras.errors === undefined) {
    extras.errors = new Map();
    earlier?.(node);
  }
  if (extras.errors.has(error)) return false;
  extras.errors.set(error, origin);
  return true;
}
