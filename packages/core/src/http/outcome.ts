import { isCancelled, type CancelledError } from "../errors/cancelled.js";
import type { ScopeNode } from "../kernel/node.js";
import { judge } from "../kernel/lifecycle.js";
import { isDisconnectError } from "./disconnect-errors.js";
import { isAbandoned, type AnyRequest, type AnyResponse } from "./messages.js";

/** 499: the client is gone. 503: this server ran out of time, or shuts down. 504: another one's time was up. */
export type CancelStatus = 499 | 503 | 504;

/** A request that was cancelled: it is to be answered with `status`, and is no failure of the handler's. */
export interface CancelledOutcome {
  /**
   * - 499: the client has gone away; nothing can be sent.
   * - 503: the request ran out of time, or the server shuts down.
   * - 504: a call that the handler made ran out of a time of its own, or the caller's deadline passed.
   */
  readonly status: CancelStatus;
  /** Why: mostly the `CancelledError`, whose `kind` and `scope` (a path) say what was cancelled. */
  readonly error: unknown;
}

/** A request that has failed. */
export interface FailedOutcome {
  readonly status?: undefined;
  /** What to report: of a request that was cancelled by the failure of one of its tasks, that failure. */
  readonly error: unknown;
}

/** What an error of a handler's means for its request. */
export type RequestOutcome = CancelledOutcome | FailedOutcome;

/** A request that has a scope, as far as its outcome depends on it. */
export interface OutcomeSubject {
  readonly node: ScopeNode;
  statusOfDeadline(): 503 | 504;
}

/** What became of a request whose handler failed with `error`. */
export function outcomeOf(
  request: AnyRequest,
  response: AnyResponse,
  record: OutcomeSubject | undefined,
  error: unknown,
): RequestOutcome {
  const node = record?.node;
  const reason = node?.reason;
  const isCut = node !== undefined && reason !== undefined && judge(node, error);
  if (isCut && record !== undefined && reason !== undefined) {
    if (reason.kind === "disconnected") return { status: 499, error: reason };
    if (reason.kind === "deadline") return { status: record.statusOfDeadline(), error: reason };
    // The server's scope was cancelled, for whatever reason.
    if (node.parent?.reason === reason) return { status: 503, error: reason };
  }
  if ((reason?.kind === "disconnected" || isGone(request, response)) && isDisconnectError(error))
    return { status: 499, error: reason?.kind === "disconnected" ? reason : error };
  const deadline = deadlineIn(error);
  if (deadline !== undefined) return { status: 504, error: deadline };
  return { error: isCut && reason?.kind === "failure" ? reason.cause : error };
}

/** Whether the client has gone. Body parsers hear of it before the response does. */
function isGone(request: AnyRequest, response: AnyResponse): boolean {
  return isAbandoned(request, response) || (request.aborted && !response.writableEnded);
}

/** How many causes deep to look; a chain can be circular. */
const MAX_CAUSES = 10;

/** The deadline among the causes of a failure: a call of the handler's had a time of its own, and overran it. */
function deadlineIn(error: unknown): CancelledError | undefined {
  let at = error;
  for (let depth = 0; depth < MAX_CAUSES && typeof at === "object" && at !== null; depth++) {
    if (isCancelled(at) && at.kind === "deadline") return at;
    at = (at as { cause?: unknown }).cause;
  }
  return undefined;
}
