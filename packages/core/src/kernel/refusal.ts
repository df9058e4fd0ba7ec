import { isCancelled, type CancelledError } from "../errors/cancelled.js";
import { ScopeClosedError } from "../errors/scope-errors.js";
import { CLOSED, CUT_SHORT, TASK, TIMED_OUT } from "./state.js";
import type { ScopeNode } from "./node.js";
import { TurnBudget } from "./turn-budget.js";

/**
 * Why nothing can wait in a scope: it is cancelled, or it has ended. A wait that began all the same would take a
 * message or a permit that nobody then has.
 */
function refusal(operation: string, node: ScopeNode): CancelledError | ScopeClosedError | undefined {
  if (node.reason !== undefined) return node.reason;
  return (node.flags & CLOSED) === 0 ? undefined : new ScopeClosedError(operation, node.path);
}

/** For all scopes together: many workers that go on do not get more turns than one. */
const refusals = new TurnBudget();

/**
 * The promise of an operation that is refused at once. Usually it is rejected already. From the hundredth refusal in one
 * turn of the event loop on it rejects with a later turn: a worker that catches the rejection and tries again, for ever,
 * must not keep timers, signals and sockets from their turn (rule 13).
 */
export function refuse(error: unknown): Promise<never> {
  const turnEnd = refusals.take();
  return turnEnd === undefined ? Promise.reject(error) : turnEnd.then(() => Promise.reject(error));
}

/**
 * As {@link refuse}, for a promise that exists already: one that has settled without having waited for anything.
 *
 * @param isHandled - Whether it rejects with what nobody has to await.
 */
export function yieldBefore<T>(promise: Promise<T>, isHandled: boolean): Promise<T> {
  const turnEnd = refusals.take();
  if (turnEnd === undefined) return promise;
  markHandled(promise); // until it is asked
  const later = turnEnd.then(() => promise);
  if (isHandled) markHandled(later);
  return later;
}

const done: IteratorReturnResult<undefined> = { done: true, value: undefined };

/** For the consumer of an iterator that has ended, who may have overlooked that it has. */
export function endedAlready(): Promise<IteratorReturnResult<undefined>> {
  return yieldBefore(Promise.resolve(done), false);
}

/** The rejection of an operation that has thrown before it began: because of its arguments or of its scope's state. */
export function failToBegin(error: unknown): Promise<never> {
  const promise = refuse(error);
  if (isCancelled(error)) markHandled(promise);
  return promise;
}

/** The promise for what `node` comes to, which was just begun. If it was cancelled at birth, that is a refusal, too. */
export function promiseFor<T>(node: ScopeNode, promise: Promise<T>): Promise<T> {
  const bornCancelled = (node.flags & (CLOSED | CUT_SHORT)) === (CLOSED | CUT_SHORT);
  return bornCancelled ? yieldBefore(promise, !isOwnDeadline(node)) : promise;
}

/** Refuses an operation in a scope that is cancelled or has ended; `undefined` if something can wait there. */
export function refuseIn(operation: string, node: ScopeNode): Promise<never> | undefined {
  const error = refusal(operation, node);
  return error === undefined ? undefined : failToBegin(error);
}

/**
 * Keeps a rejection that nobody awaits from being an unhandled one: the receivers of the cancelled scope hear of the
 * cancellation, as with Kotlin's coroutines. Whoever awaits the promise still gets the rejection.
 */
export function markHandled(promise: Promise<unknown>): void {
  promise.then(undefined, ignore);
}

function ignore(): void {}

/**
 * Whether the cancellation of `node` is news only for the one who awaits it: `node` has run out of its own time. Any
 * other cancellation came from above, or somebody meant it.
 */
export function isOwnDeadline(node: ScopeNode): boolean {
  return (node.flags & (TIMED_OUT | TASK)) === TIMED_OUT && node.reason !== node.parent?.reason;
}
