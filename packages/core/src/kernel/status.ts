import type { TaskStatus } from "../errors/scope-errors.js";
import type { ScopeNode } from "./node.js";
import { ANSWERED_BY_RUNTIME, CLOSED, CUT_SHORT, QUEUED } from "./state.js";

export function statusOf(node: ScopeNode): TaskStatus {
  const flags = node.flags;
  if ((flags & CLOSED) === 0) return (flags & QUEUED) !== 0 ? "queued" : "running";
  if (node.extras?.errors !== undefined) return "failed";
  return (flags & (CUT_SHORT | ANSWERED_BY_RUNTIME)) !== 0 ? "cancelled" : "succeeded";
}
