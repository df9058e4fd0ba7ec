import type { IncomingMessage, ServerResponse } from "node:http";
import type { Server } from "node:net";
import type { Duplex } from "node:stream";
import type { Scope } from "../kernel/scope.js";
import { optionNames, type OptionNames } from "../task/option-names.js";
import { checkBag, checkDuration, checkType, judgeBy, type ScopeOptions } from "../task/options.js";
import { openRequest } from "./open-request.js";
import { checkMessage } from "./outcome.js";
import { recordOf } from "./records.js";
import { serverStateOf } from "./server-scope.js";
import type { ServerState } from "./server-state.js";
import type { AnyRequest } from "./types.js";

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
  const record = recordOf(request) ?? openRequest(request, response, serverOf(request), options?.name);
  if (options?.isCancellation !== undefined) judgeBy(record.node, options.isCancellation);
  if (options?.timeout !== undefined) record.bound(options.timeout);
  return record.node;
}

export function checkRequestOptions(
  operation: string,
  options: RequestScopeOptions,
  names: OptionNames = requestScopeOptionNames,
): void {
  checkBag(operation, options, names);
  checkDuration(operation, "timeout", options.timeout);
  checkType(operation, "name", "string", options.name);
  checkType(operation, "isCancellation", "function", options.isCancellation);
}

/** The state of the server that accepted a request, found through its socket; a mock has none. */
export function serverOf(request: AnyRequest): ServerState | undefined {
  const server = (request.socket as { server?: Server } | undefined)?.server;
  return server === undefined ? undefined : serverStateOf(server);
}
