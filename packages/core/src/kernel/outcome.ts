import { taskInfo } from "./info.js";
import type { ScopeNode } from "./node.js";
import type { Settings } from "./rare.js";

/**
 * Hands `error` to the nearest `onError` on the way from `from` to the root; without one it becomes an
 * ordinary unhandled rejection. A handler that throws has not handled it: both errors surface.
 */
export function report(from: ScopeNode, error: unknown, origin: ScopeNode): void {
  const onError = nearestOnError(from);
  if (onError === undefined) return unhandled(error);
  try {
    onError(error, taskInfo(origin));
  } catch (thrown) {
    unhandled(error);
    if (thrown !== error) unhandled(thrown);
  }
}

/** Whether {@link report} would find an `onError`. */
export function hasReceiver(from: ScopeNode): boolean {
  return nearestOnError(from) !== undefined;
}

function nearestOnError(from: ScopeNode): Settings["onError"] {
  for (let at: ScopeNode | undefined = from; at !== undefined; at = at.parent) {
    const onError = at.rarely?.settings?.onError;
    if (onError !== undefined) return onError;
  }
  return undefined;
}

/** Reports every failure of `node`, which nobody else receives. */
export function reportAll(from: ScopeNode, node: ScopeNode): void {
  const errors = node.rarely?.errors ?? new Map<unknown, ScopeNode>();
  for (const [error, origin] of errors) report(from, error, origin);
}

function unhandled(error: unknown): void {
  void Promise.reject(error);
}
