import { waitLabel, type NodeInfo } from "../inspect/index.js";
import { formatDuration } from "../inspect/duration.js";
import { shortSite } from "../inspect/groups.js";
import { plural } from "../inspect/labels.js";
import { firstOf, type LiveTree } from "./live-tree.js";
import { currentInfo, nameOf, withoutQuery, type Entry } from "./tree-entry.js";
import { nodeRow, type NodeRow } from "./page-data.js";

/** The details of one scope. */
export interface NodeDetail extends NodeRow {
  readonly at: number;
  /** The reasons why it is alive, one sentence each. */
  readonly why: readonly string[];
  /** Its ancestors, from the root to its parent. */
  readonly path: readonly NodeRow[];
  /** Further properties. */
  readonly facts: readonly (readonly [label: string, value: string])[];
}

/** @param causes - Whether to include the message and the cause of its cancellation. */
export function detailOf(tree: LiveTree, id: number, causes: boolean): NodeDetail | undefined {
  const entry = tree.byId.get(id);
  if (entry === undefined) return undefined;
  const { at } = tree.head;
  const path: Entry[] = [];
  for (let above = entry.parent; above !== undefined; above = above.parent) path.push(above);
  path.reverse();
  const rows = path.length <= MAX_PATH ? path : [...path.slice(0, 10), ...path.slice(10 - MAX_PATH)];
  return {
    at,
    ...nodeRow(entry, at),
    why: reasonsAlive(tree, entry),
    path: rows.map((each) => nodeRow(each, at)),
    facts: factsOf(entry.info, path, at, causes),
  };
}

const MAX_PATH = 100;

function reasonsAlive(tree: LiveTree, entry: Entry): string[] {
  const node = currentInfo(entry);
  const { reason, listens, waits, waitingForCleanup, joining, kind, status, cleanups, state } = node;
  if (kind === "background") return ["It is above all scopes, and never ends."];
  const children = tree.childCount(entry);
  const why: string[] = [];
  if (status === "queued") return ["It waits for a slot: its scope has a limit of concurrent tasks."];
  if (reason !== undefined) {
    const when = reason.at === undefined ? "" : ` ${formatDuration(tree.head.at - reason.at)} ago`;
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
      "It would not notice a cancellation: it has not read its signal, and waits in no function of bough.",
    );
  const oldest = oldestChild(tree, entry);
  if (oldest !== undefined && (joining === true || state !== "open"))
    why.push(`Its oldest child is ${nameOf(oldest.info)}, ${formatDuration(oldest.age)} old.`);
  return why;
}

/** The children are in spawn order. */
function oldestChild(tree: LiveTree, parent: Entry): Entry | undefined {
  const [first] = tree.siblingGroups(parent);
  return first === undefined ? undefined : firstOf(first);
}

function factsOf(
  node: NodeInfo,
  path: readonly Entry[],
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
    .map(({ info }) => info)
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
