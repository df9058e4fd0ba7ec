import type { Server } from "node:net";
import type { Duplex } from "node:stream";
import { callSite, recordSite } from "../kernel/call-site.js";
import type { Scope } from "../kernel/scope.js";
import { isClosed } from "../kernel/state.js";
import { setIsCancellation } from "../task/options.js";
import { NodeResponder } from "./node-responder.js";
import { openRequest } from "./open-request.js";
import { outcomeOf, type RequestOutcome } from "./outcome.js";
import { latest, recordOf } from "./request-records.js";
import { checkRequestOptions, type RequestScopeOptions } from "./request-options.js";
import { serverStateOf } from "./server-scope.js";
import type { ServerState } from "./server-state.js";
import { checkMessages, isDisconnected, type AnyRequest, type AnyResponse } from "./messages.js";

// The API for handlers of `node:http`, and of frameworks without an integration: `requestScope()` and
// `requestOutcome()`. Both find the server of a request through its socket.

/**
 * Returns the scope of a request: a child of its server's scope, made on the first call, and the same on every call.
 *
 * It ends when the response is done. Tasks that still run then are cancelled (kind `"closed"`) and awaited. Spawn work that
 * outlives the request in `serverScope(server)`.
 *
 * **Cancellation:**
 *
 * - kind `"disconnected"`: the client went away before the response had ended;
 * - kind `"deadline"`: the time is up. If the handler has not begun a response, the request is answered with 503, or with
 *   504 if the deadline came with the request;
 * - kind `"shutdown"`: the grace period of the server is over.
 *
 * A body that was read to its end does not cancel, and nothing does after `response.end()`.
 *
 * **Failure:** the failure of a task cancels the request, not the server. If the handler awaits the task, the handler
 * answers; otherwise the failure goes to the nearest `onError`, or is printed. `requestOutcome` says which status an
 * error has for the request.
 *
 * @param request - As the server's `request` event gives it, or its `upgrade` event.
 * @param response - Its response; after an upgrade, the socket, whose scope lives as long as it does.
 * @param options - `timeout` in ms.
 * @returns The scope of the request, the same for every call.
 * @throws {TypeError | RangeError} If an argument is of the wrong type or out of range.
 * @example
 * ```ts
 * import { createServer } from "node:http";
 * import { all } from "bough";
 * import { requestOutcome, requestScope } from "bough/http";
 *
 * createServer(async (request, response) => {
 *   const scope = requestScope(request, response, { timeout: 2_000 });
 *   try {
 *     const [a, b] = await all(scope, [async () => 1, async () => 2]);
 *     response.end(String(a + b));
 *   } catch (error) {
 *     const outcome = requestOutcome(request, response, error);
 *     if (outcome.status === undefined) console.error(outcome.error);
 *     response.writeHead(outcome.status ?? 500).end();
 *   }
 * });
 * ```
 */
export function requestScope(
  request: AnyRequest,
  response: AnyResponse,
  options?: RequestScopeOptions,
): Scope {
  const isLatest = request === latest.request && response === latest.response;
  if (!isLatest) checkMessages("requestScope", request, response);
  if (options !== undefined) checkRequestOptions("requestScope", options);
  const site = callSite(requestScope);
  const record = recordOf(request) ?? openRequest(request, response, serverOf(request, site), options?.name);
  recordSite(record.node, site);
  if (options?.isCancellation !== undefined) setIsCancellation(record.node, options.isCancellation);
  if (options?.timeout !== undefined) record.limit(options.timeout);
  return record.node;
}

/**
 * Returns the meaning of a handler's failure for its request, for servers and frameworks without an integration.
 *
 * Call it where the framework hands you the error.
 *
 * - `{ status: 499 | 503 | 504, error }`: the request was cancelled. Answer with that status; 499 can't be sent, it is for
 *   the log.
 * - `{ error }`: a failure. Answer 500 and report `error`. If a task of the request has failed, the handler usually gets the
 *   cancellation that followed; then `error` is the failure of the task.
 *
 * **Failure:** the failure counts as received: it is not reported again.
 *
 * If bough has already responded instead of the handler, writing to the response has no effect and does not throw. If
 * the handler has started a response itself, setting a status or a header aborts it, and does not throw either.
 *
 * @param request - Node's request, as the server's `request` event gives it.
 * @param response - Its response.
 * @param error - The failure of the handler.
 * @returns The outcome: on every call for the same error, the same.
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
  request: AnyRequest,
  response: Exclude<AnyResponse, Duplex>,
  error: unknown,
): RequestOutcome {
  checkMessages("requestOutcome", request, response);
  const record = recordOf(request);
  const outcome = outcomeOf(record, error, isDisconnected(request, response));
  record?.receive(error);
  if (outcome.status !== undefined) record?.log(outcome);
  (record ?? new NodeResponder(request, response)).ignoreSecondAnswer();
  return outcome;
}

/** The state of the server that accepted a request, found through its socket. A mock has none. */
export function serverOf(request: AnyRequest, site?: string): ServerState | undefined {
  if (request === latest.request) {
    const state = latest.server as ServerState;
    if (!isClosed(state.node)) return state; // otherwise the server may listen again
  }
  const server = (request.socket as { server?: Server } | undefined)?.server;
  return server === undefined ? undefined : serverStateOf(server, site);
}
