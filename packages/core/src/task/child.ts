import { closedError } from "../kernel/closed-error.js";
import {
  abandonBody,
  beginBody,
  canBegin,
  canJustLink,
  clearBody,
  closeUnlinked,
  endUnlinked,
  hasRunningBody,
  hasStoppedDaemons,
  isCancelled,
  isClosed,
  isClosedByOwner,
  isDaemon,
  isLimited,
  isOpen,
  isTask,
  initialShield,
  markCutShort,
  takeSlot,
  waitForSlot,
} from "../kernel/state.js";
import { checkStackHeadroom, workerNesting } from "../kernel/stack-headroom.js";
import type { ConcurrencyLimit, Label, ScopeNode } from "../kernel/node.js";
import { withResolvers } from "../kernel/observer.js";
import { publishStart } from "../kernel/diagnostics.js";
import { bodyThrew, resumeBodyThrew, cancel, resume } from "../kernel/lifecycle.js";
import type { ScopeKind } from "../kernel/scope-kind.js";
import { ScopeView } from "../kernel/scope-view.js";
import { link, recountChildren } from "../kernel/tree.js";
import { interrupted, interruptedSteps } from "../kernel/interrupted-steps.js";
import { applyOptions, type ScopeOptions, type TaskOptions } from "./options.js";
import { callWorker, workerReturned, resumeWorkerReturned, type Worker } from "./worker.js";

/**
 * The only file that creates child nodes, in three steps, so that the caller can set the observer in between:
 *
 * 1. {@link makeChild} checks the stack and the state of the parent, and creates the node. In a cancelled parent the
 *    node starts cancelled: it is closed already, and the other steps do nothing.
 * 2. {@link linkChild} adds it to the tree: call site, slot of a `concurrency`, options, a daemon that comes too late.
 * 3. {@link startChild} calls the worker, after step 2. A node without a worker has only the first two steps.
 *
 * @param operation - The public function, for the error.
 * @param options - Those that {@link linkChild} will get.
 * @param startedAt - The start time of another node, if both start together.
 * @throws {ScopeClosedError} If `parent` has ended, or is closing with no child alive.
 * @throws {RangeError} If workers are nested so deeply that the stack is almost full. Nothing was started.
 */
export function makeChild(
  operation: string,
  parent: ScopeNode,
  label: Label,
  initialState: number,
  options?: Pick<ScopeOptions, "onError">,
  startedAt?: number,
): ScopeNode {
  checkStackHeadroom();
  if (isOpen(parent) || acceptsChild(operation, parent, initialState))
    return new ScopeView(parent, label, initialState, startedAt);
  const node = makeCancelledChild(parent, label, initialState);
  // A callback that is added later can still throw; this is then the nearest receiver.
  if (options?.onError !== undefined) node.ensureSettings().onError = options.onError;
  return node;
}

/**
 * Like {@link makeChild}, for a scope whose caller receives its outcome. Throws if the parent is cancelled.
 *
 * @throws The reason of `parent`.
 */
export function makeLiveChild(
  operation: string,
  parent: ScopeNode,
  label: Label,
  initialState: number,
): ScopeNode {
  const node = makeChild(operation, parent, label, initialState);
  if (isClosed(node)) throw node.reason as unknown;
  return node;
}

/** Creates a child that starts cancelled. That cuts its parent short. */
export function makeCancelledChild(parent: ScopeNode, label: Label, initialState: number): ScopeNode {
  const node = new ScopeView(parent, label, initialState);
  clearBody(node);
  closeUnlinked(node);
  markCutShort(node);
  if (!isClosed(parent) && !isDaemon(node)) markCutShort(parent);
  return node;
}

/** Creates a child that has ended already, without a change to its parent. */
export function makeEndedChild(parent: ScopeNode, label: Label, initialState: number): ScopeNode {
  const node = new ScopeView(parent, label, initialState);
  endUnlinked(node);
  return node;
}

/** Whether a parent that is not open accepts a new child. `false`: the child starts cancelled. */
function acceptsChild(operation: string, parent: ScopeNode, initialState: number): boolean {
  const isShield = initialState === initialShield;
  if (isCancelled(parent) && !isShield && !isClosedByOwner(parent)) return false;
  const isWaiting = hasRunningBody(parent) || parent.first !== undefined;
  if (isClosed(parent) || !(isWaiting || isShield)) throw closedError(operation, parent);
  return true;
}

/**
 * Adds a node to the tree and applies its options. If it throws, the node is not in the tree.
 *
 * @param site - The call site of the public function; see `callSite`.
 * @param worker - The worker of a task that may have to wait for a slot of its parent's `concurrency`. It begins when
 * it has one.
 * @param queue - {@link enqueue}, from a caller that passes a worker: a bundle without such callers has no workers.
 */
export function linkChild(
  node: ScopeNode,
  options: (ScopeOptions & TaskOptions) | undefined,
  site: string | undefined,
  worker?: Worker<unknown>,
  queue?: typeof enqueue,
): void {
  const parent = node.parent as ScopeNode;
  if (options === undefined && site === undefined && canJustLink(parent, node)) return link(parent, node);
  if (isClosed(node)) return; // started cancelled
  try {
    if (site !== undefined) node.ensureExtras().site = site;
    link(parent, node);
    if (isLimited(parent) && isTask(node)) {
      const { limit } = parent.ensureSettings();
      if (limit?.tryAcquire() === false && worker !== undefined) queue?.(limit, node, worker);
    }
    if (options !== undefined) applyOptions(node, options);
    // A daemon that is started after the other daemons were stopped: all other work has ended.
    if (isDaemon(node) && hasStoppedDaemons(parent)) cancel(node, "closed");
  } catch (error) {
    try {
      abandonStart(node, error); // immediately, so that its slot is free when the caller receives the error
    } catch {
      interruptedSteps[interruptedSteps.length] = abandonStart;
      interruptedSteps[interruptedSteps.length] = node;
      interruptedSteps[interruptedSteps.length] = error;
      interrupted.wake(undefined);
    }
    throw error;
  }
}

/**
 * Calls the worker of a node, synchronously, and follows its result. Links the node first, unless it is linked
 * already. Does not call the worker if the node is cancelled or waits for a slot.
 *
 * The worker is called from here, and both steps are one function, because workers nest. Each level takes the stack
 * frames of `spawn`, of this function and of the worker. It throws only if there was no room on the stack to call the
 * worker.
 *
 * @param kind - Of a scope that is not a task.
 * @returns The promise whose outcome ends the body, if the worker has returned one. Its failure is handled.
 */
export function startChild<T>(
  node: ScopeNode,
  worker: Worker<T>,
  options?: ScopeOptions & TaskOptions,
  site?: string,
  kind?: ScopeKind,
): PromiseLike<unknown> | undefined {
  if (node.previous === undefined) linkChild(node, options, site, worker, enqueue);
  let result: unknown = notCalled;
  let promise: PromiseLike<unknown> | undefined;
  try {
    if (!canBegin(node)) return undefined;
    beginBody(node);
    result = running;
    workerNesting.depth += 1;
    const stores = publishStart(node, kind);
    result = stores === undefined ? worker(node) : stores.run(callWorker<T>, node, worker);
    promise = workerReturned(node, result);
  } catch (error) {
    let finish: (node: ScopeNode, value: unknown) => void = abandonStart;
    let value: unknown = error;
    if (result !== notCalled) {
      workerNesting.depth -= 1;
      // If the runtime overflowed the stack, the result of the worker is kept.
      const hasResult = result !== running && error instanceof RangeError;
      try {
        if (!hasResult) {
          bodyThrew(node, error);
          return undefined;
        }
      } catch {
        // It is repeated below.
      }
      finish = hasResult ? resumeWorkerReturned : resumeBodyThrew;
      if (hasResult) value = result;
    }
    interruptedSteps[interruptedSteps.length] = finish;
    interruptedSteps[interruptedSteps.length] = node;
    interruptedSteps[interruptedSteps.length] = value;
    interrupted.wake(undefined);
    if (result === notCalled) throw error;
    return undefined;
  }
  workerNesting.depth -= 1;
  return promise;
}

const notCalled = Symbol("not called");
const running = Symbol("running");

/** The promise reaction is created now, so that the worker runs in the async context of its `spawn`. */
function enqueue(limit: ConcurrencyLimit, node: ScopeNode, worker: Worker<unknown>): void {
  const gate = withResolvers();
  waitForSlot(node);
  void gate.promise.then(() => {
    takeSlot(node);
    startChild(node, worker);
  });
  limit.enqueue(node, gate.resolve as () => void);
}

/**
 * Ends a node whose start was interrupted by an exception. The caller received the exception, so the node reports none.
 */
export function abandonStart(node: ScopeNode, error: unknown): void {
  if (node.previous === undefined) {
    closeUnlinked(node);
    return;
  }
  node.observer = undefined;
  abandonBody(node);
  recountChildren(node.parent as ScopeNode);
  if (!cancel(node, "closed", error)) resume(node);
}
