import { createReason, setCancelSite, type CancelKind, type CancelledError } from "../errors/cancelled.js";
import { callSite, isTracing, type Api } from "./call-site.js";
import type { ScopeNode } from "./node.js";

/** A deadline makes its own reason. */
export type ReasonKind = Exclude<CancelKind, "deadline">;

/** The reason of a cancellation that begins at `node`. While tracing is on it says where `api` was called. */
export function reasonFor(node: ScopeNode, kind: ReasonKind, cause: unknown, api?: object): CancelledError {
  const reason = createReason(kind, node.path, cause, isTracing());
  const site = api === undefined ? undefined : callSite(api as Api);
  if (site !== undefined) setCancelSite(reason, site);
  return reason;
}
