import { isCancelled, type CancelledError } from "../errors/cancelled.js";
import type { ScopeClosedError } from "../errors/scope-errors.js";
import { closedError } from "./closed-error.js";
import { isClosed, isCutShort, isTask, isTimedOut } from "./state.js";
import type { ScopeNode } from "./node.js";
import { ignore } from "./observer.js";
import { TurnBudget } from "./turn-budget.js";

// Results of operations that settle without having waited. They are throttled: after a hundred in one turn of the event
// loop, further ones settle in a later turn. So a worker that repeats such an operation for ever does not block timers,
// signals and sockets (rule 13).

/** The error of an operation in a scope that is cancelled or closed; `undefined` in a live scope. */
function errorUnlessLive(operation: string, node: ScopeNode): CancelledError | ScopeClosedError | undefined {
  if (node.reason !== undefined) return node.reason;
  return !isClosed(node) ? undefined : closedError(operation, node);
}

/** One budget for all scopes, so that many such workers together block no longer than one. */
const budget = new TurnBudget();

/** A promise that rejects with `error`, throttled. */
export function rejectThrottled(error: unknown): Promise<never> {
  const turnEnd = budget.take();
  return turnEnd === undefined ? Promise.reject(error) : turnEnd.then(() => Promise.reject(error));
}

/**
 * Returns `promise`, which has settled without having waited, or a promise that settles in the same way in a later
 * turn.
 *
 * @param isHandled - Whether to mark a rejection as handled.
 */
export function throttle<T>(promise: Promise<T>, isHandled: boolean): Promise<T> {
  const turnEnd = budget.take();
  if (turnEnd === undefined) return promise;
  markHandled(promise);
  const later = turnEnd.then(() => promise);
  if (isHandled) markHandled(later);
  return later;
}

/** The result of an iterator that has ended. */
export const done: IteratorReturnResult<undefined> = { done: true, value: undefined };

/**
 * The result of `next()` of an iterator that has ended. Throttled, because a consumer may ignore the end and call
 * `next()` again.
 */
export function throttledDone(): Promise<IteratorReturnResult<undefined>> {
  return throttle(Promise.resolve(done), false);
}

/** The rejection of an operation that threw before it began: because of its arguments or of the state of its scope. */
export function rejectBeforeStart(error: unknown): Promise<never> {
  const promise = rejectThrottled(error);
  if (isCancelled(error)) markHandled(promise);
  return promise;
}

/** The promise for the outcome of `node`, which was just started; throttled if the node started cancelled. */
export function throttleIfStartedCancelled<T>(node: ScopeNode, promise: Promise<T>): Promise<T> {
  const startedCancelled = isClosed(node) && isCutShort(node);
  return startedCancelled ? throttle(promise, !hasExceededOwnTimeout(node)) : promise;
}

/** The rejection of an operation that can't wait in a scope because that is cancelled or closed; `undefined` if it can. */
export function rejectUnlessLive(operation: string, node: ScopeNode): Promise<never> | undefined {
  const error = errorUnlessLive(operation, node);
  return error === undefined ? undefined : rejectBeforeStart(error);
}

/**
 * Marks a rejection as handled although it is not awaited: the receivers of the cancelled scope receive the
 * cancellation, as with Kotlin's coroutines. Code that awaits the promise still gets the rejection.
 */
export function markHandled(promise: Promise<unknown>): void {
  promise.then(undefined, ignore);
}

/**
 * Whether `node`, which is not a task, was cancelled by its own deadline. Only the code that awaits it can handle that. Any other
 * cancellation came from above, or was intended.
 */
export function hasExceededOwnTimeout(node: ScopeNode): boolean {
  return isTimedOut(node) && !isTask(node) && node.reason !== node.parent?.reason;
}
