import type { CancelledError } from "../errors/cancelled.js";
import { dropHooks, type Hook } from "./cancel-hooks.js";
import { cancelTree, resumeFail, failsParent, failTree, resumeCancelling, runHook } from "./cancellation.js";
import { runDefers } from "./defers.js";
import { publishSettled } from "./diagnostics.js";
import { releaseExternals } from "./externals.js";
import { interrupted, interruptedSteps } from "./interrupted-steps.js";
import { isCancellation } from "./is-cancellation.js";
import type { ScopeNode } from "./node.js";
import { firstError, rejectWithReason, report, reportAll } from "./outcome.js";
import { afterMicrotasks } from "./platform.js";
import { reasonFor, type ReasonKind } from "./reason.js";
import { hasFailedInside, recordRejection } from "./suppressed-failures.js";
import {
  beginCleanup,
  canBeCancelled,
  canSettle,
  endBody,
  endCleanup,
  failsWithTasks,
  hasDeadlineTimer,
  hasStoppedDaemons,
  isCancelled,
  isClosed,
  isCutShort,
  isDaemon,
  isDelivered,
  isHandleOrAttached,
  isLimited,
  isLive,
  isPublished,
  isQueued,
  isTask,
  isTaskCutShortByTimeout,
  isTimedOut,
  markClosed,
  markCutShort,
  markDaemonsStarted,
  markDelivered,
  markStoppedDaemons,
} from "./state.js";
import { hasOnlyDaemons, updateTimerHold, recountChildren, unlink } from "./tree.js";

/**
 * The life cycle of a node: the whole state machine, together with `cancellation.ts`, which it calls. Cancelling and failing
 * go down the tree and are there; ending and settling go up the tree and are here.
 *
 * | state      | in `state.ts`       | the node has                                         | leaves the state when                     |
 * | ---------- | ------------------- | ---------------------------------------------------- | ----------------------------------------- |
 * | queued     | QUEUED              | a body that has not been called                      | the body is called; cancelled             |
 * | open       | none of the others  | a running body (BODY), or a handle that is not closed | the body ends; `join`, `close`; cancelled |
 * | closing    | ENDING              | a body that has ended; children may be alive         | only daemons are left; cancelled          |
 * | notifying  | CANCELLED NOTIFYING | been marked by a cancellation, not yet notified      | its signal and its hooks have run         |
 * | cancelling | CANCELLED           | been notified; body and children may be alive        | body ended and only daemons are left      |
 * | cleaning   | CLEANING            | no child, no running body; its defers run            | the last defer has ended                  |
 * | closed     | CLOSED              | settled                                              | never; unlinked from the tree soon after  |
 *
 * ```text
 *              begin          body ended, join()        only daemons left
 *    queued ──────────► open ───────────────────► closing ─────────────────┐
 *       │                 │                          │                     ▼
 *       │ cancel, fail,   │                          │                 cleaning ───► closed ───► out of the tree
 *       │ deadline        │                          │                     ▲  no defers left
 *       ▼                 ▼                          ▼                     │
 *       └───────────► notifying ────────────► cancelling ──────────────────┘
 *                               all notified              body ended, only daemons left
 * ```
 *
 * A node that is cleaning can be cancelled, too; it stays cleaning. A closed node never changes its state.
 *
 * **Cancellation of N**, in this order, synchronously:
 *
 * 1. The reason is stored in N. N and every node below it, except shielded and already cancelled subtrees, are marked. No
 *    user code runs meanwhile.
 * 2. The channel `bough:scope:cancel` publishes.
 * 3. N is notified, then each marked node, parents first and children in spawn order. The grace period of the node starts.
 *    Then the listeners of its signal run, and then its hooks (`onCancel`, waits) in the order they were added.
 * 4. The marked nodes that have nothing left to wait for settle, after all listeners have run.
 *
 * **Failure of N**: it is recorded in N and in each ancestor up to the first that keeps failures to itself, and that one is
 * cancelled, as above.
 *
 * **Settlement of N**, once its body has ended or it was cancelled, and only daemons are left:
 *
 * 1. The daemons are cancelled, and settle.
 * 2. The defers run, last in first out, each awaited before the next.
 * 3. N is closed. Hooks that are left are notified by `ended`. Timers are cleared, the foreign signal is released.
 * 4. The observer receives the outcome: the promise of the task, the `withScope` or the combinator.
 * 5. The pending calls of `join`, `close` and dispose receive the outcome.
 * 6. A failure that was not received waits until the microtasks after that have run (or for the disposal, where one is
 *    expected). Then it goes to the parent, or to the nearest `onError`, or becomes an unhandled rejection.
 * 7. N leaves the tree; the next queued task of its parent starts; the channel for its end publishes.
 * 8. The parent continues with step 1 if N was the last thing that it waited for.
 */

/** Cancels `node` and its subtree. Returns whether this call did it. `api` is the public function that was called, if any. */
export function cancel(node: ScopeNode, kind: ReasonKind, cause?: unknown, api?: object): boolean {
  if (!canBeCancelled(node)) return false;
  cancelWith(node, reasonFor(node, kind, cause, api));
  return true;
}

export function cancelWith(node: ScopeNode, reason: CancelledError): void {
  const ready: ScopeNode[] = [];
  try {
    cancelTree(node, reason, ready);
    advance(node);
    advanceAll(ready);
  } catch (error) {
    if (!isCancelled(node)) throw error; // nothing has happened
    interruptedSteps[interruptedSteps.length] = resume;
    interruptedSteps[interruptedSteps.length] = node;
    interruptedSteps[interruptedSteps.length] = ready;
    interrupted.wake(undefined);
  }
}

/** Runs a hook that was added after the cancellation of its node. */
export function notifyLateHook(node: ScopeNode, hook: Hook): void {
  hook.previous = undefined;
  if (!isClosed(node)) {
    const ready: ScopeNode[] = [];
    runHook(node, hook, node.reason as CancelledError, ready);
    return advanceAll(ready);
  }
  try {
    hook.run(node.reason as CancelledError);
  } catch (error) {
    report(node, error, node); // a closed scope can't fail
  }
}

/** The worker or body of `node` has returned. */
export function bodyReturned(node: ScopeNode, value: unknown): void {
  node.value = value;
  bodyEnded(node);
}

/** The worker or body of `node` has thrown, or its promise was rejected. */
export function bodyThrew(node: ScopeNode, error: unknown): void {
  if (!isCancelled(node)) fail(node, error);
  else bodyThrewWhenCancelled(node, error);
  bodyEnded(node);
}

function bodyThrewWhenCancelled(node: ScopeNode, error: unknown): void {
  if (error === node.reason) return cutShort(node);
  const broken: unknown[] = [];
  if (!hasFailedInside(node, error) && isCancellation(node, error, broken)) cutShort(node);
  else fail(node, error);
  for (const thrown of broken) fail(node, thrown);
}

function cutShort(node: ScopeNode): void {
  markCutShort(node);
  failIfTimedOut(node);
}

function bodyEnded(node: ScopeNode): void {
  endBody(node);
  // Also if it is cleared next: of an unrefed timer Node keeps the list for the next timer of the same duration.
  if (hasDeadlineTimer(node)) updateTimerHold(node);
  advance(node);
}

/** Repeats {@link bodyThrew}, which was interrupted. */
export function resumeBodyThrew(node: ScopeNode, error: unknown): void {
  const isRecorded = node.extras?.errors?.has(error) === true;
  if (!isRecorded && isCancelled(node)) bodyThrewWhenCancelled(node, error);
  else {
    const ready: ScopeNode[] = [];
    resumeFail(node, error, ready);
    advanceAll(ready);
  }
  bodyEnded(node);
}

/** Records a failure of `node`; see `failTree`. */
export function fail(node: ScopeNode, error: unknown): void {
  const ready: ScopeNode[] = [];
  try {
    failTree(node, error, ready);
    advanceAll(ready);
  } catch {
    interruptedSteps[interruptedSteps.length] = resumeFail;
    interruptedSteps[interruptedSteps.length] = node;
    interruptedSteps[interruptedSteps.length] = error;
    interrupted.wake(undefined);
  }
}

/**
 * Throws, out of the body of `node`, a failure that was noticed earlier. It is recorded as a failure first, so that it is not
 * taken for a cancellation if the node has been cancelled meanwhile.
 */
export function throwFailure(node: ScopeNode, error: unknown): never {
  if (error !== node.reason) fail(node, error);
  throw error;
}

/** A task that was cut short by its own timeout has failed; by an ancestor's timeout it is cancelled. Returns whether it failed now. */
function failIfTimedOut(node: ScopeNode): boolean {
  if (!isTaskCutShortByTimeout(node) || node.extras?.errors !== undefined) return false;
  fail(node, node.reason);
  return true;
}

function advanceAll(ready: readonly ScopeNode[]): void {
  for (const node of ready) advance(node);
}

/**
 * Takes `start` as far towards `closed` as possible, and then its ancestors one after the other: stop the daemons, run the
 * defers, settle. A loop and not a recursion: the tree may be 100,000 levels deep.
 */
export function advance(start: ScopeNode): void {
  let work: ScopeNode[] | undefined;
  let node: ScopeNode | undefined = start;
  try {
    for (; node !== undefined; node = work?.pop()) {
      while (node !== undefined && isReady(node)) {
        if (isQueued(node)) markCutShort(node); // cancelled before its body was called
        if (isTimedOut(node) && failIfTimedOut(node)) continue;
        if (node.first !== undefined) {
          stopDaemons(node, (work ??= []));
          break;
        }
        if (node.extras?.defers !== undefined) {
          startCleanup(node);
          break;
        }
        node = settle(node);
      }
    }
  } catch (error) {
    if (resuming) throw error;
    interrupted.error = error;
    interruptedSteps[interruptedSteps.length] = resume;
    interruptedSteps[interruptedSteps.length] = node ?? start;
    interruptedSteps[interruptedSteps.length] = work;
    interrupted.wake(undefined);
  }
}

let resuming = false;

/** Continues with `node` from wherever an exception interrupted it, and then with `others`. */
export function resume(node: ScopeNode, others?: readonly ScopeNode[]): void {
  resuming = true; // an exception is reported now, since the stack is empty; another attempt would fail again
  try {
    const ready: ScopeNode[] = [];
    if (node.first !== undefined) markDaemonsStarted(node); // perhaps not all of them
    if (!isClosed(node)) resumeCancelling(node, ready);
    else resumeSettling(node);
    advanceAll([...ready, node, ...(others ?? [])]);
  } finally {
    resuming = false;
  }
}

function resumeSettling(node: ScopeNode): void {
  const parent = node.parent as ScopeNode;
  if (node.previous === undefined) {
    recountChildren(parent); // it is out of the tree; nothing else is certain
  } else {
    const { observer } = node;
    if (observer?.interrupted !== undefined) {
      node.observer = undefined;
      observer.interrupted(interrupted.error);
    }
    if (finishSettling(node) === undefined) return; // its failure waits for a receiver
  }
  propagateCutShort(node, parent);
  publishSettled(node);
  advance(parent);
}

/** Whether only daemons and defers are left to wait for. */
function isReady(node: ScopeNode): boolean {
  return hasOnlyDaemons(node) && canSettle(node);
}

/** Appends the nodes that may settle now to `work`: advancing them here could recurse as deep as the tree is. */
function stopDaemons(node: ScopeNode, work: ScopeNode[]): void {
  if (hasStoppedDaemons(node)) return;
  markStoppedDaemons(node); // from now on, daemons start cancelled
  const daemons: ScopeNode[] = [];
  for (let child = node.first; child !== undefined; child = child.next) daemons.push(child);
  for (const daemon of daemons) {
    if (!isLive(daemon)) continue;
    work.push(daemon);
    cancelTree(daemon, reasonFor(daemon, "closed"), work);
  }
}

function startCleanup(node: ScopeNode): void {
  beginCleanup(node);
  try {
    runDefers(node, fail, cleaned);
  } catch (error) {
    endCleanup(node);
    throw error;
  }
}

function cleaned(node: ScopeNode): void {
  endCleanup(node);
  advance(node);
}

/** Closes `node`, delivers its outcome, and returns the parent, which may be ready now. */
function settle(node: ScopeNode): ScopeNode | undefined {
  markClosed(node);
  return finishSettling(node);
}

/** Each step can be repeated: an exception may have interrupted between two of them. */
function finishSettling(node: ScopeNode): ScopeNode | undefined {
  if (node.hooks !== undefined) dropHooks(node);
  if (typeof node.label === "function") node.dropWorker();
  const { observer, extras } = node;
  if (extras !== undefined) {
    if (extras.errors !== undefined) recordRejection(node, extras.errors.keys(), !failsParent(node));
    if (extras.settings !== undefined) releaseExternals(node, extras.settings);
  }
  if (observer !== undefined) {
    if (observer.isReceiver === undefined || observer.isReceiver()) markDelivered(node);
    if (extras?.errors !== undefined) observer.reject(firstError(node));
    else if (isCutShort(node)) rejectWithReason(node, observer);
    else observer.resolve(node.value);
    node.observer = undefined;
    if (!isTask(node)) node.value = undefined; // a task may be asked again
  }
  const waiters = extras?.settings?.waiters;
  if (waiters !== undefined) {
    waiters[0]?.deliver(node, waiters);
    node.ensureSettings().waiters = undefined;
  }
  if (extras?.errors !== undefined && !isDelivered(node) && !failsParent(node)) {
    // It stays linked until then, so that the parent can't settle before it has received the failure.
    const hold = extras.settings?.holdFailure;
    if (hold !== undefined) {
      hold(node, deliverUnreceived);
      return undefined;
    }
    try {
      afterMicrotasks(() => deliverUnreceived(node));
    } catch (error) {
      interruptedSteps[interruptedSteps.length] = deliverUnreceived;
      interruptedSteps[interruptedSteps.length] = node;
      interruptedSteps[interruptedSteps.length] = error;
      interrupted.wake(undefined);
    }
    return undefined;
  }
  return leaveTree(node);
}

/** Delivers the unreceived failures of a settled node: to the parent, to `onError`, or as unhandled rejections. */
function deliverUnreceived(node: ScopeNode): void {
  if (node.previous === undefined) return; // called twice
  if (!isDelivered(node)) {
    markDelivered(node);
    const parent = node.parent as ScopeNode;
    if (isHandleOrAttached(node) && failsWithTasks(parent)) {
      const ready: ScopeNode[] = [];
      for (const [error, origin] of node.extras?.errors ?? []) failTree(parent, error, ready, origin);
      advanceAll(ready);
    } else {
      reportAll(node, node);
    }
  }
  const parent = leaveTree(node);
  if (parent !== undefined) advance(parent);
}

function leaveTree(node: ScopeNode): ScopeNode | undefined {
  const parent = node.parent as ScopeNode;
  unlink(node);
  if (isCutShort(node)) propagateCutShort(node, parent);
  if (isLimited(parent) && isTask(node)) parent.extras?.settings?.limit?.leave(node);
  if (isPublished(node)) publishSettled(node);
  return parent;
}

/** A child that was cut short cuts its parent short, unless it is a daemon, or was cancelled without its parent. */
function propagateCutShort(node: ScopeNode, parent: ScopeNode): void {
  const cutsParentShort = isCutShort(node) && !isDaemon(node) && isCancelled(parent);
  // Of many children that are cut short only the first compares the reasons.
  if (cutsParentShort && !isCutShort(parent) && parent.reason === node.reason) markCutShort(parent);
}
