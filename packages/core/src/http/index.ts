/**
 * Scopes of requests and servers, for `node:http`, `node:https` and the compatibility API of `node:http2`. The guide is
 * `docs/http.md`.
 *
 * @module
 */
export { outgoingHeaders } from "./deadline-header.js";
export type { AnyRequest, AnyResponse } from "./messages.js";
export type { CancelledOutcome, CancelStatus, FailedOutcome, RequestOutcome } from "./outcome.js";
export type { RequestScopeOptions } from "./request-options.js";
export { requestOutcome, requestScope } from "./request-scope.js";
export type { OutcomeHooks } from "./responder.js";
export type { ServerScope, ShutdownOptions, ShutdownReport } from "./server-handle.js";
export { serverScope, type ServerScopeOptions } from "./server-scope.js";
export type { ShutdownNotice } from "../process/shutdown-notice.js";
