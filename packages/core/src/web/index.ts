/**
 * Scopes of the requests of fetch-style hosts: Hono, Bun, Deno, Cloudflare Workers, Next.js and others. The
 * guide is `docs/web.md`.
 *
 * @module
 */
export { outgoingHeaders } from "../http/deadline-header.js";
export type { CancelledOutcome, CancelStatus, FailedOutcome, RequestOutcome } from "../http/outcome.js";
export type { RequestScopeOptions } from "../http/request-options.js";
export type { ServerScope, ShutdownOptions, ShutdownReport } from "../http/server-handle.js";
export type { ShutdownNotice } from "../process/shutdown-notice.js";
export {
  fetchBough,
  requestOutcome,
  requestScope,
  type FetchApp,
  type FetchBough,
  type FetchBoughOptions,
  type FetchHandler,
} from "./fetch-bough.js";
export type { WebHooks } from "./hooks.js";
