import { isCancelled, type CancelledError } from "../errors/cancelled.js";
import type { ScopeNode } from "../kernel/node.js";
import { hasOnError, report } from "../kernel/outcome.js";
import { isCancellationOf } from "../kernel/is-cancellation.js";
import { isDelivered, isTask } from "../kernel/state.js";
import { causesOf, isDisconnectError } from "./disconnect-errors.js";

// Maps the failure of a handler to the outcome of its request: disconnected (499), timed out (503 or 504), or failed
// (500, by the framework). This file sends no answer and uses no objects of Node.

/**
 * 499: the client disconnected. 503: the request timed out, or the server is shutting down. 504: another server timed
 * out.
 */
export type CancelStatus = 499 | 503 | 504;

/** The outcome of a request that was cancelled: answer with `status`. It is not a failure of the handler. */
export interface CancelledOutcome {
  /**
   * - 499: the client disconnected; nothing can be sent.
   * - 503: the request timed out, or the server is shutting down.
   * - 504: a call that the handler made exceeded its own timeout, or the caller's deadline passed.
   */
  readonly status: CancelStatus;
  /** The reason, usually a `CancelledError`: its `kind` says why, its `scope` is the path of the cancelled scope. */
  readonly error: unknown;
}

/** The outcome of a request that has failed: report `error`. */
export interface FailedOutcome {
  /** Absent: the status is up to you, such as 500. */
  readonly status?: undefined;
  /** The failure. If a task of the request has failed, the failure of the task, not the cancellation that followed. */
  readonly error: unknown;
}

/** The meaning of a handler's failure for its request. */
export type RequestOutcome = CancelledOutcome | FailedOutcome;

/** The part of a request's record that determines its outcome. */
export interface OutcomeSubject {
  readonly node: ScopeNode;
  /** The status if its deadline has passed. */
  readonly deadlineStatus: 503 | 504;
  /** Whether its upload was broken off because it had been answered in the handler's place. */
  readonly isUploadStopped: boolean;
}

/**
 * Returns the outcome of a request whose handler has failed with `error`.
 *
 * @param request - `undefined` if the request has no scope.
 * @param isDisconnected - Whether the client has gone away.
 */
export function outcomeOf(
  request: OutcomeSubject | undefined,
  error: unknown,
  isDisconnected: boolean,
): RequestOutcome {
  const node = request?.node;
  const reason = node?.reason;
  const isCancellation = node !== undefined && reason !== undefined && isCancellationOf(node, error);
  if (isCancellation && request !== undefined && reason !== undefined) {
    if (reason.kind === "disconnected") return { status: 499, error: reason };
    if (reason.kind === "deadline") return { status: request.deadlineStatus, error: reason };
    // The server's scope was cancelled, for any reason.
    if (node.parent?.reason === reason) return { status: 503, error: reason };
  }
  const isGone = reason?.kind === "disconnected" || isDisconnected || request?.isUploadStopped === true;
  if (isGone && isDisconnectError(error))
    return { status: 499, error: reason?.kind === "disconnected" ? reason : error };
  const deadline = deadlineIn(error);
  if (deadline !== undefined) return { status: 504, error: deadline };
  return { error: isCancellation && reason?.kind === "failure" ? reason.cause : error };
}

/**
 * Returns the failure that `error` stands for: that of a task, if it has cancelled the request and `error` follows from the
 * cancellation. Otherwise `error`.
 */
export function failureBehind(node: ScopeNode, error: unknown): unknown {
  const { reason } = node;
  return reason?.kind === "failure" && isCancellationOf(node, error) ? reason.cause : error;
}

/**
 * Returns the outcome of a request whose response closed before its end: 499, unless the request was cancelled for
 * another reason before. Then the framework has broken the response off, since its source failed.
 */
export function brokenOffOutcome(request: OutcomeSubject): CancelledOutcome {
  const { reason } = request.node;
  const outcome = outcomeOf(request, reason, true);
  return outcome.status === undefined ? { status: 499, error: reason } : outcome;
}

/** Finds a deadline among the causes of a failure: a call of the handler has exceeded its own timeout. */
function deadlineIn(error: unknown): CancelledError | undefined {
  for (const at of causesOf(error)) if (isCancelled(at) && at.kind === "deadline") return at;
  return undefined;
}

/**
 * Passes a failure of a task that the handler has not received to the nearest `onError`, or prints it. It must not
 * become an unhandled rejection, since the process serves other requests.
 *
 * @param origin - The task.
 */
export function reportUnreceived(request: ScopeNode, error: unknown, origin: ScopeNode): void {
  if (wasAwaited(request, origin)) return;
  const from = request.parent ?? request;
  if (hasOnError(from)) return report(from, error, origin);
  // oxlint-disable-next-line no-console -- where servers and frameworks print errors that are not handled
  console.error(`A task of a request has failed: ${origin.path}`, error);
}

/** Whether the handler awaited the task in which a failure happened: then the failure is the handler's. */
function wasAwaited(request: ScopeNode, origin: ScopeNode): boolean {
  let at = origin;
  while (at !== request && at.parent !== request && at.parent !== undefined) at = at.parent;
  return at !== request && isTask(at) && isDelivered(at);
}
