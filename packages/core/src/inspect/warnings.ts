import { formatDuration } from "./duration.js";
import { findDeadlock } from "./deadlock.js";
import type { NodeInfo, ReasonInfo } from "./describe-node.js";
import { groupNodes, shortSite, type NodeGroup } from "./groups.js";
import { oneLine } from "./labels.js";
import type { Look } from "./look.js";
import type { History, Warning, WarningCode } from "./warning.js";

type Rule = (history: History) => Warning[];

/** Every rule, by what it finds. Each is a function of the looks alone. */
export const rules: Readonly<Record<WarningCode, Rule>> = {
  stuck: (history) => stuckScopes(history, "stuck"),
  overdue: (history) => stuckScopes(history, "overdue"),
  deaf: findDeaf,
  unclosed: findUnclosed,
  blocked: findBlocked,
  queue: findGrowingQueues,
  deadlock: (history) => findDeadlock(history),
  growth: findGrowth,
};

/** The scopes that hold a cancelled tree up, longer than their grace period. */
function stuckScopes({ looks, byId, thresholds }: History, code: "stuck" | "overdue"): Warning[] {
  const [{ at, nodes }] = looks as [Look];
  const late = nodes.filter(({ reason, waitingForCleanup }) => {
    return waitingForCleanup && reason?.at !== undefined;
  });
  const holders = deepest(late, byId);
  return holders.flatMap((node) => {
    const reason = node.reason as ReasonInfo;
    if ((reason.kind === "deadline") !== (code === "overdue")) return [];
    const took = at - (reason.at as number);
    if (took < (graceOf(node, byId) ?? thresholds.stuck)) return [];
    const name = nameOf(node);
    return [
      {
        code,
        title:
          code === "overdue"
            ? `${name} is past its deadline by ${formatDuration(took)} and still runs`
            : `${name} was cancelled ${formatDuration(took)} ago and still runs`,
        detail: [
          ...placeOf(node),
          `cancelled: ${reason.kind}, at ${quote(reason.scope)}${reason.by === undefined ? "" : `, by ${reason.by}`}`,
          node.listens === undefined
            ? "it reads no signal and has no callback: it cannot notice"
            : `it listens by: ${node.listens.join(", ")}`,
        ],
        nodes: [node.id],
      },
    ];
  });
}

/** Without those that have another one below: what they do themselves most likely waits for that. */
function deepest(nodes: readonly NodeInfo[], byId: History["byId"]): NodeInfo[] {
  const above = new Set<number>();
  for (const node of nodes)
    for (let at = parentOf(node, byId); at !== undefined && !above.has(at.id); at = parentOf(at, byId))
      above.add(at.id);
  return nodes.filter(({ id }) => !above.has(id));
}

/** The grace period that holds for a scope: its own, or the nearest above. */
function graceOf(node: NodeInfo, byId: History["byId"]): number | undefined {
  for (let at: NodeInfo | undefined = node; at !== undefined; at = parentOf(at, byId))
    if (at.grace !== undefined) return at.grace;
  return undefined;
}

const parentOf = (node: NodeInfo, byId: History["byId"]): NodeInfo | undefined =>
  node.parent === undefined ? undefined : byId.get(node.parent);

/** Tasks that have run for long, do nothing through bough, and have no signal: a cancellation would not reach them. */
function findDeaf({ looks, childrenOf, thresholds }: History): Warning[] {
  const [{ nodes }] = looks as [Look];
  const deaf = nodes.filter(
    (node) =>
      node.kind === "task" &&
      node.status === "running" &&
      node.state === "open" &&
      node.joining !== true &&
      node.listens === undefined &&
      node.age >= thresholds.deaf &&
      !childrenOf.has(node.id),
  );
  return groupNodes(deaf, { by: ["site"] }).map(({ count, label, members, age }) => ({
    code: "deaf",
    title: `${count === 1 ? quote(label) : `${count} × ${quote(label)}`} would not notice a cancellation`,
    detail: [
      `running for up to ${formatDuration(age.max)}, without a look at its signal, a callback, or a wait of bough's`,
      "pass scope.signal to what it awaits, or wait by sleep, checkpoint or receive",
    ],
    nodes: members.slice(0, MAX_NODES),
  }));
}

/** A warning about a hundred thousand tasks names the oldest of them. */
const MAX_NODES = 100;
/** Handles that one part of a program may well keep open. */
const MANY_HANDLES = 10;

function findUnclosed({ looks, childrenOf, thresholds }: History): Warning[] {
  const [{ nodes }] = looks as [Look];
  const unused = nodes.filter(
    (node) =>
      node.kind === "handle" &&
      node.state === "open" &&
      node.waiters === 0 &&
      node.age >= thresholds.unclosed &&
      !childrenOf.has(node.id),
  );
  return groupNodes(unused, { by: ["site"] })
    .filter(({ count }) => count >= MANY_HANDLES)
    .map(({ count, label, members, age }) => ({
      code: "unclosed",
      title: `${count} handles of ${quote(label)} are open, and nothing runs in them`,
      detail: [
        `the oldest was made ${formatDuration(age.max)} ago`,
        "close() each when it is done with, or give it to scope.use",
      ],
      nodes: members.slice(0, MAX_NODES),
    }));
}

function findBlocked({ looks, childrenOf, thresholds }: History): Warning[] {
  const [{ blockedIn, loopDelay, nodes }] = looks as [Look];
  const late = loopDelay?.max ?? 0;
  if (blockedIn === undefined && late < thresholds.blocked) return [];
  // Of what waits for nothing, one may be what runs now.
  const suspects = nodes.filter(
    (node) =>
      node.kind === "task" &&
      node.status === "running" &&
      node.waits === undefined &&
      node.joining !== true &&
      !childrenOf.has(node.id),
  );
  return [
    {
      code: "blocked",
      title:
        blockedIn === undefined
          ? `the event loop was held up for ${formatDuration(late)}`
          : `the event loop is blocked in ${oneLine(blockedIn)}`,
      detail: suspects.slice(0, 5).map((node) => `perhaps by ${nameOf(node)}`),
      nodes: suspects.slice(0, MAX_NODES).map(({ id }) => id),
    },
  ];
}

/** In how many looks in a row something has to have grown. */
const GROWTHS = 5;

/** Whether a number has grown in each of the last looks; the newest comes first. */
function hasGrown(counts: readonly number[]): boolean {
  if (counts.length <= GROWTHS) return false;
  return counts.slice(0, GROWTHS).every((count, index) => count > (counts[index + 1] as number));
}

function findGrowingQueues({ looks, byId }: History): Warning[] {
  const queues = looks.map(({ nodes }) => {
    const counts = new Map<number, number>();
    for (const { status, parent } of nodes)
      if (status === "queued" && parent !== undefined) counts.set(parent, (counts.get(parent) ?? 0) + 1);
    return counts;
  });
  return [...(queues[0] ?? [])].flatMap(([id, count]) => {
    const scope = byId.get(id);
    if (scope === undefined || !hasGrown(queues.map((counts) => counts.get(id) ?? 0))) return [];
    return [
      {
        code: "queue",
        title: `the queue of ${nameOf(scope)} only grows: ${count} tasks wait`,
        detail: [
          ...placeOf(scope),
          `${scope.limit ?? "as many as its concurrency allows"} run at once: more come than are done`,
        ],
        nodes: [id],
      },
    ];
  });
}

/** Groups smaller than this may grow: a program that starts does. */
const SMALL_GROUP = 20;

/** Each look takes part in six comparisons, and is grouped once. */
const grouped = new WeakMap<Look, ReadonlyMap<string, NodeGroup>>();

function groupsOf(look: Look): ReadonlyMap<string, NodeGroup> {
  let groups = grouped.get(look);
  if (groups === undefined) {
    const started = look.nodes.filter(({ kind, status }) => kind !== "background" && status !== "queued");
    groups = new Map(groupNodes(started, { by: ["site"] }).map((group) => [group.key, group]));
    grouped.set(look, groups);
  }
  return groups;
}

function findGrowth({ looks }: History): Warning[] {
  // Also the first looks, so that not all six are grouped at once.
  groupsOf(looks[0] as Look);
  if (looks.length <= GROWTHS) return [];
  const counts = looks.map(groupsOf);
  return [...(counts[0]?.values() ?? [])].flatMap(({ key, count, label, age, members }) => {
    if (count < SMALL_GROUP || !hasGrown(counts.map((groups) => groups.get(key)?.count ?? 0))) return [];
    return [
      {
        code: "growth",
        title: `${quote(label)} becomes more and more: ${count} now`,
        detail: [
          `the oldest has run for ${formatDuration(age.max)}`,
          `it has grown in each of the last ${GROWTHS} looks`,
        ],
        nodes: members.slice(0, MAX_NODES),
      },
    ];
  });
}

const quote = (name: string): string => JSON.stringify(oneLine(name));

function nameOf(node: NodeInfo): string {
  return `${node.kind === "handle" ? "scope" : node.kind} ${quote(node.name)}`;
}

function placeOf({ spawnedAt }: NodeInfo): string[] {
  return spawnedAt === undefined ? [] : [`started at ${shortSite(spawnedAt)}`];
}
