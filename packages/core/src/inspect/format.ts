import { refuseOptions } from "../errors/validate.js";
import { calendarNow } from "../kernel/platform.js";
import { formatDuration } from "./duration.js";
import { oneLine, plural, waitLabel } from "./labels.js";
import type { Snapshot } from "./unflatten.js";

/** The deepest level that is indented further. At 100,000 levels the indentation would take gigabytes. */
const MAX_INDENT = 32;

/**
 * Formats a snapshot as a tree, one line for each scope. A line has the name, kind, state (unless open), age, deadline and
 * waits of the scope, and the line where it was spawned if that was recorded.
 *
 * @param snapshot - The result of `snapshot()`.
 * @returns Lines without a final line break.
 * @example
 * ```ts
 * await withScope({ name: "server", timeout: 5_000 }, async (scope) => {
 *   spawn(scope, function heartbeat(task) { return sleep(task, 10); });
 *   console.log(formatTree(snapshot(scope)));
 *   // server  scope · 0 ms · 5 s left
 *   // └─ heartbeat  task · 0 ms · 5 s left
 * });
 * ```
 */
export function formatTree(snapshot: Snapshot): string;
export function formatTree(snapshot: Snapshot, extra?: unknown): string {
  refuseOptions("formatTree", extra);
  const now = calendarNow();
  const lines: string[] = [];
  const todo: Line[] = [{ at: snapshot, depth: 0, indent: "", branch: "" }];
  for (let line = todo.pop(); line !== undefined; line = todo.pop()) {
    const { at, depth, indent, branch } = line;
    const far = depth > MAX_INDENT ? `(${depth}) ` : "";
    lines.push(`${indent}${branch}${far}${oneLine(at.name)}  ${details(at, now).join(" · ")}`);
    const inner = depth === 0 || depth >= MAX_INDENT ? indent : indent + (branch === "└─ " ? "   " : "│  ");
    for (let index = at.children.length - 1; index >= 0; index--) {
      const child = at.children[index] as Snapshot;
      const last = index === at.children.length - 1;
      todo.push({ at: child, depth: depth + 1, indent: inner, branch: last ? "└─ " : "├─ " });
    }
  }
  return lines.join("\n");
}

interface Line {
  readonly at: Snapshot;
  readonly depth: number;
  readonly indent: string;
  readonly branch: string;
}

function details(at: Snapshot, now: number): string[] {
  const { counts } = at;
  if (at.kind === "background")
    return [`${plural(counts.children, "root")}, ${plural(counts.tasks, "task")}`];
  const parts = [at.daemon === true ? "daemon" : at.kind];
  const state = stateOf(at);
  if (state !== "") parts.push(state);
  parts.push(formatDuration(at.age));
  if (at.reason === undefined && at.deadline !== undefined) parts.push(timeLeft(at.deadline - now));
  if (at.waitingForCleanup)
    parts.push(counts.cleanups > 0 ? "waiting for its cleanups" : "waiting for cleanup");
  if (at.request?.status !== undefined) parts.push(`status ${at.request.status}`);
  for (const wait of at.waits ?? []) parts.push(waitLabel(wait));
  if (at.joining === true) parts.push(`join of ${plural(counts.children, "child", "children")}`);
  if (counts.queued > 0) parts.push(`${counts.queued} queued`);
  if (counts.waiters > 0) parts.push(`awaited by ${plural(counts.waiters, "caller")}`);
  if (counts.failures > 0) parts.push(plural(counts.failures, "failure"));
  if (at.note !== undefined) parts.push(oneLine(at.note));
  if (at.leftByClock === true) parts.push("left by an earlier virtual clock");
  if (at.spawnedAt !== undefined) parts.push(at.spawnedAt);
  return parts;
}

/** Empty for a scope that is open and running. */
function stateOf({ state, status, reason }: Snapshot): string {
  if (state === "open") return status === "queued" ? "queued" : "";
  if (reason === undefined) return state;
  return `${state} (${reason.kind}${reason.by === undefined ? "" : `, by ${reason.by}`})`;
}

const timeLeft = (ms: number): string =>
  ms >= 0 ? `${formatDuration(ms)} left` : `${formatDuration(-ms)} over its deadline`;
