import type { TaskInfo, TaskStatus } from "../errors/scope-errors.js";
import { ageSince } from "./age-clock.js";
import { ANSWERED, CLOSED, CUT, QUEUED } from "./state.js";
import type { ScopeNode } from "./node.js";

export function statusOf(node: ScopeNode): TaskStatus {
  const flags = node.flags;
  if ((flags & CLOSED) === 0) return (flags & QUEUED) !== 0 ? "queued" : "running";
  if (node.rarely?.errors !== undefined) return "failed";
  return (flags & (CUT | ANSWERED)) !== 0 ? "cancelled" : "succeeded";
}

export function taskInfo(node: ScopeNode): TaskInfo {
  const site = node.rarely?.site;
  return {
    name: node.name,
    path: node.path,
    status: statusOf(node),
    age: ageSince(node.startedAt),
    ...(site === undefined ? {} : { spawnedAt: site }),
  };
}
