import type { IncomingMessage, ServerResponse } from "node:http";
import type { Server } from "node:net";
import type { Duplex } from "node:stream";
import { callSite, recordSite } from "../kernel/call-site.js";
import type { Scope } from "../kernel/scope.js";
import { optionNames, type OptionNames } from "../errors/option-names.js";
import { checkType, checkDuration, checkOptionsObject } from "../errors/validate.js";
import { judgeBy, type ScopeOptions } from "../task/options.js";
import { openRequest } from "./open-request.js";
import { outcomeOf, type RequestOutcome } from "./outcome.js";
import { recordOf } from "./request.js";
import { serverStateOf } from "./server-scope.js";
import type { ServerState } from "./server-state.js";
import { checkMessage, isDisconnected, type AnyRequest } from "./messages.js";

/** What `requestScope` takes. */
export interface RequestScopeOptions {
  /**
   * Default: the route where the framework knows it, else method and path, without the query, which may hold secrets.
   * Counts on the call that makes the scope.
   */
  readonly name?: string | undefined;
  /** Milliseconds from now. The earliest of all that were given counts. */
  readonly timeout?: number | undefined;
  /** What else counts as the request's cancellation coming back; as in `ScopeOptions`. The first that was given counts. */
  readonly isCancellation?: ScopeOptions["isCancellation"];
}

const requestScopeOptionNames = optionNames<RequestScopeOptions>({
  name: true,
  timeout: true,
  isCancellation: true,
});

/**
 * The scope of a request: a child of its server's scope, made on the first call, and the same on every call for
 * one request.
 *
 * It ends when the response is done; tasks that are still running then are cancelled (kind `"closed"`) and awaited.
 * What must outlive the request is spawned in `serverScope(server)`.
 *
 * **Cancellation:** kind `"disconnected"` when the client goes away before the response has ended; `"deadline"`
 * when its time is up, which also answers 503 unless the handler has begun to answer (504 when the deadline came
 * with the request); `"shutdown"` when the server does not wait any longer. Never by a body that was read to its
 * end, and never after `response.end()`.
 *
 * **Failure:** a task's failure cancels the request, not the server. If the handler awaits the task, it is the
 * handler's to answer; one that nobody awaits goes to the nearest `onError`, else it is printed. `requestOutcome` says
 * what an error that the handler gets means for the request.
 *
 * @param request - As the server's `request` event gives it, or its `upgrade` event.
 * @param response - Its response; after an upgrade, the socket, whose scope lives as long as it does.
 * @param options - `timeout` in ms.
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
  request: IncomingMessage,
  response: ServerResponse | Duplex,
  options?: RequestScopeOptions,
): Scope {
  checkMessage("requestScope", "request", request, "headers");
  checkMessage("requestScope", "response", response, "writableEnded");
  if (options !== undefined) checkRequestOptions("requestScope", options);
  const site = callSite(requestScope);
  const record = recordOf(request) ?? openRequest(request, response, serverOf(request, site), options?.name);
  recordSite(record.node, site);
  if (options?.isCancellation !== undefined) judgeBy(record.node, options.isCancellation);
  if (options?.timeout !== undefined) record.limit(options.timeout);
  return record.node;
}

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
  const outcome = outcomeOf(record, error, isDisconnected(request, response));
  record?.receive(error);
  if (outcome.status !== undefined) record?.log(outcome);
  return outcome;
}

export function checkRequestOptions(
  operation: string,
  options: RequestScopeOptions,
  names: OptionNames = requestScopeOptionNames,
): void {
  checkOptionsObject(operation, options, names);
  checkDuration(operation, "timeout", options.timeout);
  checkType(operation, "name", "string", options.name);
  checkType(operation, "isCancellation", "function", options.isCancellation);
}

/** The state of the server that accepted a request, found through its socket; a mock has none. */
export function serverOf(request: AnyRequest, site?: string): ServerState | undefined {
  const server = (request.socket as { server?: Server } | undefined)?.server;
  return server === undefined ? undefined : serverStateOf(server, site);
}
