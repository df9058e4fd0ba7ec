import type { IncomingMessage, ServerResponse } from "node:http";
import { describe } from "../errors/describe.js";
import { isCancelled, type CancelledError } from "../errors/cancelled.js";
import { judge } from "../kernel/settle.js";
import { saysGone } from "./gone.js";
import { recordOf } from "./records.js";
import type { RequestRecord } from "./request-record.js";
import { isAbandoned, type AnyRequest, type AnyResponse } from "./types.js";

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

/**
 * Says what an error that a handler failed with means for its request: for a server or a framework that bough has no
 * integration for. Call it once where the framework hands errors to you.
 *
 * - `{ status: 499 | 503 | 504, error }`: the request was cancelled. Answer with that status; 499 can't be sent, it is for
 *   the log.
 * - `{ error }`: anything else. If a task of the request has failed, the handler mostly gets the cancellation that
 *   followed from it; then `error` is the task's failure. Answer 500 and report it.
 *
 * **Failure:** the failure counts as received, so nothing else reports it.
 *
 * If bough has answered in the handler's place meanwhile, what is still written to the response goes nowhere, and throws
 * nothing.
 *
 * @param request - Node's request, as the server's `request` event gives it.
 * @param response - Its response.
 * @param error - What the handler has failed with.
 * @returns The outcome. The same for the same error, however often it is asked.
 * @throws {TypeError} If `request` or `response` is not one of an HTTP server's.
 * @example In a server of `node:http`
 * ```ts
 * import { createServer } from "node:http";
 * import { sleep } from "bough";
 * import { requestOutcome, requestScope } from "bough/http";
 *
 * createServer(async (request, response) => {
 *   try {
 *     await sleep(requestScope(request, response, { timeout: 2_000 }), 10);
 *     response.end("done");
 *   } catch (error) {
 *     const outcome = requestOutcome(request, response, error);
 *     if (outcome.status === undefined) console.error(outcome.error);
 *     response.writeHead(outcome.status ?? 500).end();
 *   }
 * });
 * ```
 */
export function requestOutcome(
  request: IncomingMessage,
  response: ServerResponse,
  error: unknown,
): RequestOutcome {
  checkMessage("requestOutcome", "request", request, "headers");
  checkMessage("requestOutcome", "response", response, "writableEnded");
  const record = recordOf(request);
  const outcome = outcomeOf(request, response, record, error);
  record?.receive(error);
  if (outcome.status !== undefined) record?.note(outcome);
  return outcome;
}

export function checkMessage(operation: string, name: string, value: unknown, property: string): void {
  if (typeof value === "object" && value !== null && property in value) return;
  throw new TypeError(`${operation}: ${name} must come from an HTTP server, got ${describe(value)}`);
}

/** What became of a request whose handler failed with `error`. */
export function outcomeOf(
  request: AnyRequest,
  response: AnyResponse,
  record: RequestRecord | undefined,
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
  if ((reason?.kind === "disconnected" || isGone(request, response)) && saysGone(error))
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
