import type { TaskStatus } from "../errors/scope-errors.js";
import type { ScopeNode } from "./node.js";
import { isAnsweredByRuntime, isClosed, isCutShort, isQueued } from "./state.js";

export function statusOf(node: ScopeNode): TaskStatus {
  if (!isClosed(node)) return isQueued(node) ? "queued" : "running";
  if (node.extras?.errors !== undefined) return "failed";
  return isCutShort(node) || isAnsweredByRuntime(node) ? "cancelled" : "succeeded";
}
