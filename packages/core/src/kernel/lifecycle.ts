import { createReason, type CancelKind, type CancelledError } from "../errors/cancelled.js";
import {
  cancelTree,
  failAgain,
  failTree,
  isCancellation,
  isParentsAffair,
  resumeCancelling,
  runHook,
} from "./cancel.js";
import { settled } from "./diagnostics.js";
import { runDefers } from "./defers.js";
import * as flag from "./state.js";
import { holdFailure } from "./held-failures.js";
import { dropHooks, type Hook } from "./cancel-hooks.js";
import type { ScopeNode } from "./node.js";
import type { Observer } from "./promised.js";
import { afterMicrotasks } from "./platform.js";
import type { Settings } from "./rare.js";
import { isOwnDeadline, markHandled } from "./refusal.js";
import { hasFailedInside, rejects } from "./rejections.js";
import { report, reportAll } from "./outcome.js";
import { isTracing } from "./call-site.js";
import { hasOnlyDaemons, holdProcess, unlink } from "./tree.js";
import { unfinished } from "./interrupted-steps.js";
import { deliver } from "./wait.js";

/** Cancels `node` and its subtree. Says whether this call did it. */
export function cancel(node: ScopeNode, kind: Exclude<CancelKind, "deadline">, cause: unknown): boolean {
  if ((node.flags & (flag.CANCELLED | flag.CLOSED | flag.BACKGROUND)) !== 0) return false;
  cancelWith(node, createReason(kind, node.path, cause, isTracing()));
  return true;
}

export function cancelWith(node: ScopeNode, reason: CancelledError): void {
  const ready: ScopeNode[] = [];
  try {
    cancelTree(node, reason, ready);
    advance(node);
    advanceAll(ready);
  } catch (error) {
    if ((node.flags & flag.CANCELLED) === 0) throw error; // nothing has happened
    const { steps } = unfinished;
    steps[steps.length] = resume;
    steps[steps.length] = node;
    steps[steps.length] = ready;
    unfinished.wake?.(undefined);
    unfinished.wake = undefined;
  }
}

/** Tells a hook that came too late for the cancellation of its node. */
export function notifyLate(node: ScopeNode, hook: Hook): void {
  hook.previous = undefined;
  if ((node.flags & flag.CLOSED) === 0) {
    const ready: ScopeNode[] = [];
    runHook(node, hook, node.reason as CancelledError, ready);
    return advanceAll(ready);
  }
  try {
    hook.run(node.reason as CancelledError);
  } catch (error) {
    report(node, error, node); // its scope can't fail any more
  }
}

/** The worker or body of `node` has returned. */
export function bodyReturned(node: ScopeNode, value: unknown): void {
  node.value = value;
  bodyEnded(node);
}

/** The worker or body of `node` has thrown, or its promise was rejected. */
export function bodyThrew(node: ScopeNode, error: unknown): void {
  if ((node.flags & flag.CANCELLED) === 0) fail(node, error);
  else rejectedWhenCancelled(node, error);
  bodyEnded(node);
}

function rejectedWhenCancelled(node: ScopeNode, error: unknown): void {
  const broken: unknown[] = [];
  const isReason = error === node.reason;
  if (isReason || (!hasFailedInside(node, error) && isCancellation(node, error, broken))) {
    node.flags |= flag.CUT;
    failIfTimedOut(node);
  } else {
    fail(node, error);
  }
  for (const thrown of broken) fail(node, thrown);
}

/**
 * Whether `error` is the cancellation of `node` coming back, where the node can't record a failure. What an option
 * `isCancellation` throws goes to the nearest `onError`.
 */
export function judge(node: ScopeNode, error: unknown): boolean {
  const broken: unknown[] = [];
  const verdict = isCancellation(node, error, broken);
  for (const thrown of broken) report(node, thrown, node);
  return verdict;
}

function bodyEnded(node: ScopeNode): void {
  node.flags = (node.flags & ~flag.BODY) | flag.ENDING;
  if ((node.flags & flag.HAS_TIMER) !== 0) holdProcess(node);
  advance(node);
}

/** Does again what {@link bodyThrew} does, which was interrupted. */
export function bodyThrewAgain(node: ScopeNode, error: unknown): void {
  const isRecorded = node.rarely?.errors?.has(error) === true;
  if (!isRecorded && (node.flags & flag.CANCELLED) !== 0) rejectedWhenCancelled(node, error);
  else failAgain(node, error);
  bodyEnded(node);
}

/** Records a failure of `node`; see `failTree`. */
export function fail(node: ScopeNode, error: unknown): void {
  const ready: ScopeNode[] = [];
  try {
    failTree(node, error, ready);
    advanceAll(ready);
  } catch {
    const { steps } = unfinished;
    steps[steps.length] = failAgain;
    steps[steps.length] = node;
    steps[steps.length] = error;
    unfinished.wake?.(undefined);
    unfinished.wake = undefined;
  }
}

/**
 * Throws, out of the body of `node`, a failure that was noticed earlier and kept back until now. It is recorded as a
 * failure first: that the node has been cancelled meanwhile does not turn it into a cancellation, whatever its name is.
 */
export function throwFailure(node: ScopeNode, error: unknown): never {
  if (error !== node.reason) fail(node, error);
  throw error;
}

/** A task that its own timeout has cut short has failed; one that an ancestor's has was cancelled. Says if so. */
function failIfTimedOut(node: ScopeNode): boolean {
  const cutByOwnTimeout = flag.TASK | flag.TIMED_OUT | flag.CUT;
  if ((node.flags & cutByOwnTimeout) !== cutByOwnTimeout || node.rarely?.errors !== undefined) return false;
  fail(node, node.reason);
  return true;
}

function advanceAll(ready: readonly ScopeNode[]): void {
  for (const node of ready) advance(node);
}

/**
 * Takes `start` as far towards `closed` as it can go, and then its ancestors one after the other: stop the
 * daemons, run the defers, settle. A loop, not a recursion: the tree may be 100,000 levels deep.
 */
export function advance(start: ScopeNode): void {
  let work: ScopeNode[] | undefined;
  let node: ScopeNode | undefined = start;
  try {
    for (; node !== undefined; node = work?.pop()) {
      while (node !== undefined && isReady(node)) {
        if (failIfTimedOut(node)) continue;
        if (node.first !== undefined) {
          stopDaemons(node, (work ??= []));
          break;
        }
        if (node.rarely?.defers !== undefined) {
          clean(node);
          break;
        }
        node = settle(node);
      }
    }
  } catch (error) {
    if (resuming) throw error;
    unfinished.error = error;
    const { steps } = unfinished;
    steps[steps.length] = resume;
    steps[steps.length] = node ?? start;
    steps[steps.length] = work;
    unfinished.wake?.(undefined);
    unfinished.wake = undefined;
  }
}

unfinished.advance = advance;
let resuming = false;

/** Takes `node` on from wherever an exception has left it, and those that were to follow it. */
export function resume(node: ScopeNode, others: readonly ScopeNode[] | undefined): void {
  resuming = true; // what fails here has had the room: it is told, and not tried for ever
  try {
    const ready: ScopeNode[] = [];
    if (node.first !== undefined) node.flags &= ~flag.STOPPED_DAEMONS; // not all of them, perhaps
    if ((node.flags & flag.CLOSED) === 0) resumeCancelling(node, ready);
    else resumeSettling(node);
    advanceAll([...ready, node, ...(others ?? [])]);
  } finally {
    resuming = false;
  }
}

function resumeSettling(node: ScopeNode): void {
  const parent = node.parent as ScopeNode;
  if (node.previous === undefined)
    recount(parent); // it is out of the tree, and that is all that is sure
  else {
    const { observer } = node;
    if (observer?.interrupted !== undefined) {
      node.observer = undefined;
      observer.interrupted(unfinished.error);
    }
    if (finishSettling(node) === undefined) return; // its failure waits for a receiver
  }
  propagateCut(node, parent);
  settled(node);
  advance(parent);
}

/** Nothing is left to wait for but daemons and defers. */
function isReady(node: ScopeNode): boolean {
  const flags = node.flags;
  if (!hasOnlyDaemons(node)) return false;
  if ((flags & (flag.BODY | flag.NOTIFYING | flag.CLEANING | flag.CLOSED)) !== 0) return false;
  if ((flags & (flag.CANCELLED | flag.ENDING)) === 0) return false;
  if ((flags & flag.QUEUED) !== 0) node.flags |= flag.CUT; // cancelled before its turn came
  return true;
}

/** The nodes that this lets settle go to `work`: advancing them here could recurse as deep as the tree is. */
function stopDaemons(node: ScopeNode, work: ScopeNode[]): void {
  if ((node.flags & flag.STOPPED_DAEMONS) !== 0) return;
  node.flags |= flag.STOPPED_DAEMONS; // from now on, daemons are born cancelled
  const daemons: ScopeNode[] = [];
  for (let child = node.first; child !== undefined; child = child.next) daemons.push(child);
  for (const daemon of daemons) {
    if ((daemon.flags & (flag.CANCELLED | flag.CLOSED)) !== 0) continue;
    work.push(daemon);
    cancelTree(daemon, createReason("closed", daemon.path, undefined), work);
  }
}

function clean(node: ScopeNode): void {
  node.flags |= flag.CLEANING;
  try {
    runDefers(
      node,
      (error) => fail(node, error),
      () => {
        node.flags &= ~flag.CLEANING;
        advance(node);
      },
    );
  } catch (error) {
    node.flags &= ~flag.CLEANING;
    throw error;
  }
}

/** Ends `node`, tells who waits for it, and returns the parent, which may be ready now. */
function settle(node: ScopeNode): ScopeNode | undefined {
  node.flags |= flag.CLOSED;
  return finishSettling(node);
}

/** Each step can be done twice: an exception may have come between two of them. */
function finishSettling(node: ScopeNode): ScopeNode | undefined {
  if (node.hooks !== undefined) dropHooks(node);
  node.dropWorker();
  const { observer, rarely: rare } = node;
  if (rare !== undefined) {
    if (rare.errors !== undefined) rejects(node, rare.errors.keys(), !isParentsAffair(node));
    if (rare.settings !== undefined) release(node, rare.settings);
  }
  if (observer !== undefined) {
    if (observer.heard === undefined || observer.heard()) node.flags |= flag.DELIVERED;
    if (rare?.errors !== undefined) observer.reject(firstError(node));
    else if ((node.flags & flag.CUT) !== 0) rejectWithReason(node, observer);
    else observer.resolve(node.value);
    node.observer = undefined;
    if ((node.flags & flag.TASK) === 0) node.value = undefined; // a task may be asked again
  }
  const waiters = rare?.settings?.waiters;
  if (waiters !== undefined) {
    deliver(node, [...waiters]);
    node.settings().waiters = undefined;
  }
  if (rare?.errors !== undefined && (node.flags & flag.DELIVERED) === 0 && !isParentsAffair(node)) {
    // Stays linked until that is decided, so that the parent can't settle before it has heard of it.
    if (rare.settings?.disposalExpected === true) {
      holdFailure(node, decide);
      return undefined;
    }
    try {
      afterMicrotasks(() => decide(node));
    } catch (error) {
      const { steps } = unfinished;
      steps[steps.length] = decide;
      steps[steps.length] = node;
      steps[steps.length] = error;
      unfinished.wake?.(undefined);
      unfinished.wake = undefined;
    }
    return undefined;
  }
  return leave(node);
}

/** Nobody has to await it, unless the scope ran out of its own time. A task's promise goes to those who asked for it. */
function rejectWithReason(node: ScopeNode, observer: Observer): void {
  observer.reject(node.reason);
  const { promise } = observer;
  if (promise !== undefined && (node.flags & flag.TASK) === 0 && !isOwnDeadline(node)) markHandled(promise);
}

/** A stranger's signal and timers may throw; that must not keep the scope from settling. */
function release(node: ScopeNode, settings: Settings): void {
  const { deadlineTimer, graceTimer, follower } = settings;
  settings.deadlineTimer = settings.graceTimer = undefined;
  settings.follower = undefined;
  try {
    deadlineTimer?.clear();
    graceTimer?.clear();
  } catch (error) {
    report(node, error, node);
  }
  try {
    follower?.remove(node);
  } catch (error) {
    report(node, error, node);
  }
}

export function firstError(node: ScopeNode): unknown {
  return node.rarely?.errors?.keys().next().value;
}

/** Finds a receiver for the failures of a settled node that nobody has waited for. */
function decide(node: ScopeNode): void {
  if (node.previous === undefined) return; // asked twice
  if ((node.flags & flag.DELIVERED) === 0) {
    node.flags |= flag.DELIVERED;
    const parent = node.parent as ScopeNode;
    if (
      (node.flags & (flag.HANDLE | flag.FAILS_PARENT)) !== 0 &&
      (parent.flags & (flag.SUPERVISE | flag.BACKGROUND)) === 0
    ) {
      const ready: ScopeNode[] = [];
      for (const [error, origin] of node.rarely?.errors ?? []) failTree(parent, error, ready, origin);
      advanceAll(ready);
    } else {
      reportAll(node, node);
    }
  }
  const parent = leave(node);
  if (parent !== undefined) advance(parent);
}

function leave(node: ScopeNode): ScopeNode | undefined {
  const parent = node.parent as ScopeNode;
  unlink(node);
  propagateCut(node, parent);
  if ((parent.flags & flag.LIMITED) !== 0 && (node.flags & flag.TASK) !== 0)
    parent.rarely?.settings?.limit?.leave(node);
  settled(node);
  return parent;
}

/** A daemon is there to be cut; and a child that was cancelled by itself says nothing of its parent. */
function propagateCut(node: ScopeNode, parent: ScopeNode): void {
  const cut = (node.flags & (flag.CUT | flag.DAEMON)) === flag.CUT;
  if (cut && (parent.flags & flag.CANCELLED) !== 0 && parent.reason === node.reason) parent.flags |= flag.CUT;
}

/** Counts anew what is counted of the children of `parent`: an exception may have come before a count. */
export function recount(parent: ScopeNode): void {
  const { rarely: rare } = parent;
  if (rare === undefined) return;
  rare.others = 0;
  const running: ScopeNode[] = [];
  for (let child = parent.first; child !== undefined; child = child.next) {
    if ((child.flags & flag.DAEMON) === 0) rare.others += 1;
    if ((child.flags & flag.TASK) !== 0) running.push(child);
  }
  rare.settings?.limit?.recount(running);
  if ((parent.flags & flag.HAS_TIMER) !== 0) holdProcess(parent);
}
