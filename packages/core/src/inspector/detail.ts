import { waitLabel, type NodeInfo } from "../inspect/index.js";
import { formatDuration } from "../inspect/duration.js";
import { shortSite } from "../inspect/groups.js";
import { plural } from "../inspect/labels.js";
import type { TreeIndex } from "./tree-index.js";
import { nameOf, nodeRow, withoutQuery, type NodeRow } from "./views.js";

/** Everything about one scope. */
export interface NodeDetail extends NodeRow {
  readonly at: number;
  /** Why it is alive, a sentence each. */
  readonly why: readonly string[];
  /** From the root to its parent. */
  readonly path: readonly NodeRow[];
  /** Label and value. */
  readonly facts: readonly (readonly [label: string, value: string])[];
}

/** @param causes - Whether the message and the cause of its cancellation are told. */
export function detailOf(index: TreeIndex, id: number, causes: boolean): NodeDetail | undefined {
  const node = index.byId.get(id);
  if (node === undefined) return undefined;
  const { at } = index.look;
  const path: NodeInfo[] = [];
  for (let above = parentOf(index, node); above !== undefined; above = parentOf(index, above))
    path.push(above);
  path.reverse();
  const rows = path.length <= MAX_PATH ? path : [...path.slice(0, 10), ...path.slice(10 - MAX_PATH)];
  return {
    at,
    ...nodeRow(node, at),
    why: reasonsToLive(index, node),
    path: rows.map((each) => nodeRow(each, at)),
    facts: factsOf(node, path, at, causes),
  };
}

const MAX_PATH = 100;

const parentOf = (index: TreeIndex, node: NodeInfo): NodeInfo | undefined =>
  node.parent === undefined ? undefined : index.byId.get(node.parent);

function reasonsToLive(index: TreeIndex, node: NodeInfo): string[] {
  const { reason, listens, waits, waitingForCleanup, joining, kind, status, cleanups, state } = node;
  if (kind === "background") return ["It is above all scopes, and never ends."];
  const children = index.childCount(node);
  const why: string[] = [];
  if (status === "queued") return ["It waits for a slot: its scope has a limit of concurrent tasks."];
  if (reason !== undefined) {
    const when = reason.at === undefined ? "" : ` ${formatDuration(index.look.at - reason.at)} ago`;
    const by = reason.by === undefined ? "" : ` by ${shortSite(reason.by)}`;
    why.push(`It was cancelled${when}${by} (${reason.kind}).`);
  }
  if (waits !== undefined) why.push(`It waits: ${waits.map(waitLabel).join("; ")}.`);
  if (waitingForCleanup)
    why.push(
      cleanups > 0
        ? `Its worker or body has not returned, or a cleanup has not finished; ${plural(cleanups, "cleanup")} follow.`
        : "Its worker or body, or one of its cleanups, has not finished. This holds up the scopes above it.",
    );
  else if (joining === true)
    why.push(`Its own code has ended. It waits for ${plural(children, "child", "children")}.`);
  else if (state === "open" && kind === "handle") why.push("Its handle has not been closed.");
  else if (state === "open")
    why.push(`Its ${kind === "task" ? "worker has not returned" : "body has not ended"}.`);
  else if (children > 0) why.push(`It waits for ${plural(children, "child", "children")}.`);
  if (listens === undefined && kind === "task")
    why.push(
      "Nothing in it would notice a cancellation: it has read no signal, and waits in no function of bough's.",
    );
  const oldest = oldestChild(index, node);
  if (oldest !== undefined && (joining === true || state !== "open"))
    why.push(`Its oldest child is ${nameOf(oldest)}, ${formatDuration(oldest.age)} old.`);
  return why;
}

function oldestChild(index: TreeIndex, node: NodeInfo): NodeInfo | undefined {
  let oldest: NodeInfo | undefined;
  // In a group the oldest comes first: children are in spawn order.
  for (const [first] of index.family(node).values())
    if (first !== undefined && (oldest === undefined || first.age > oldest.age)) oldest = first;
  return oldest;
}

function factsOf(
  node: NodeInfo,
  path: readonly NodeInfo[],
  at: number,
  causes: boolean,
): [label: string, value: string][] {
  const facts: [string, string][] = [["id", String(node.id)]];
  const add = (label: string, value: string | undefined): void => {
    if (value !== undefined) facts.push([label, value]);
  };
  const { request, ownDeadline, grace, listens, limit, cleanups, waiters, failures, context, reason } = node;
  add("spawned at", node.spawnedAt);
  add("request", request && `${request.method} ${request.route}`);
  add("status", request?.status?.toString());
  add("own deadline", ownDeadline === undefined ? undefined : timeLeft(ownDeadline - at));
  const [inherited] = path
    .filter((each) => each.ownDeadline !== undefined)
    .sort((a, b) => (a.ownDeadline as number) - (b.ownDeadline as number));
  if (inherited !== undefined)
    add("inherited deadline", `${timeLeft((inherited.ownDeadline as number) - at)}, of ${nameOf(inherited)}`);
  add("grace period", grace === undefined ? undefined : formatDuration(grace));
  add("would notice a cancellation by", listens?.join(", "));
  add("concurrency", limit?.toString());
  if (cleanups > 0) add("cleanups to come", String(cleanups));
  if (waiters > 0) add("awaited by", plural(waiters, "caller"));
  if (failures > 0) add("failures", String(failures));
  add("context keys", context?.join(", "));
  add("note", node.note);
  if (reason !== undefined) {
    add("cancelled at", withoutQuery(reason.scope));
    add("cancelled by", reason.by);
    if (causes) add("message", reason.message);
    if (causes) add("cause", reason.cause);
  }
  return facts;
}

const timeLeft = (ms: number): string =>
  ms >= 0 ? `${formatDuration(ms)} left` : `${formatDuration(-ms)} over`;
