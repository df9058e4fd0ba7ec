import {
  createReason,
  setCancelSite,
  stampReason,
  type CancelKind,
  type CancelledError,
} from "../errors/cancelled.js";
import { callSite, isTracing, type Api } from "./call-site.js";
import { isListening } from "./diagnostics.js";
import type { ScopeNode } from "./node.js";
import { calendarNow } from "./platform.js";
import { isIdle, markCancelled } from "./state.js";

/** A deadline makes its own reason. */
export type ReasonKind = Exclude<CancelKind, "deadline">;

/** The reason of a cancellation that begins at `node`. While tracing is on it says where `api` was called. */
export function reasonFor(node: ScopeNode, kind: ReasonKind, cause?: unknown, api?: object): CancelledError {
  const reason = createReason(kind, node.path, cause, isTracing());
  const site = api === undefined ? undefined : callSite(api as Api);
  if (site !== undefined) setCancelSite(reason, site);
  return reason;
}

/**
 * Cancels a node with kind `"closed"` if nothing in it could notice: it has no work, listener or cleanup, and no
 * channel has a subscriber. Most scopes are like that when they are closed. Creating the reason, an error, takes as
 * long as the rest of `createScope()` and `close()`. So it is created when it is first read.
 *
 * @returns Whether it did. Then the caller advances the node.
 */
export function cancelIdle(node: ScopeNode, cause: unknown): boolean {
  if (!isIdle(node) || node.first !== undefined || node.hooks !== undefined) return false;
  if (node.extras?.controller !== undefined || node.extras?.defers !== undefined) return false;
  if (isTracing() || isListening()) return false;
  const at = calendarNow();
  node.ensureSettings().makeReason = () => {
    const reason = reasonFor(node, "closed", cause);
    stampReason(reason, at);
    return reason;
  };
  markCancelled(node);
  return true;
}
