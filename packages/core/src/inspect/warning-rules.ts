import { formatDuration } from "./duration.js";
import { findDeadlock } from "./deadlock.js";
import type { NodeInfo, ReasonInfo } from "./describe-node.js";
import { groupNodes, shortSite } from "./groups.js";
import { oneLine, plural } from "./labels.js";
import type { Look } from "./look.js";
import type { History, Summary, Warning, WarningCode } from "./warning.js";

type Rule = (history: History) => Warning[];

/** The rules by their warnings. Each rule is a pure function. */
export const rules: Readonly<Record<WarningCode, Rule>> = {
  stuck: (history) => stuckScopes(history, "stuck"),
  overdue: (history) => stuckScopes(history, "overdue"),
  deaf: findDeaf,
  unclosed: findUnclosed,
  blocked: findBlocked,
  queue: findGrowingQueues,
  deadlock: findDeadlock,
  failures: findFailures,
  growth: findGrowth,
};

/** Why a rule may report a scope. */
export type Suspicion = "late" | "deaf" | "handle" | "permit" | "joining" | "failures" | "running";

/**
 * The first reason for which a rule may report a scope, or `undefined` if no rule would: then a large tree can be
 * judged without it.
 */
export function suspicionOf(node: NodeInfo): Suspicion | undefined {
  const { kind, state, status, reason, listens, joining, waits, waiters, survived, waitingForCleanup } = node;
  if (waitingForCleanup && reason?.at !== undefined) return "late";
  if (waits?.some(({ heldBy }) => heldBy !== undefined) === true) return "permit";
  if (survived !== undefined) return "failures";
  if (joining === true) return "joining";
  if (kind === "handle") return state === "open" && waiters === 0 ? "handle" : undefined;
  if (kind !== "task" || status !== "running") return undefined;
  if (listens === undefined && state === "open") return "deaf";
  return waits === undefined ? "running" : undefined;
}

/** The scopes that have blocked a cancelled tree for longer than their grace period. */
function stuckScopes({ look, byId, thresholds }: History, code: "stuck" | "overdue"): Warning[] {
  const late = look.nodes.filter(({ reason, waitingForCleanup }) => {
    return waitingForCleanup && reason?.at !== undefined;
  });
  return deepest(late, byId).flatMap((node) => {
    const reason = node.reason as ReasonInfo;
    if ((reason.kind === "deadline") !== (code === "overdue")) return [];
    const took = look.at - (reason.at as number);
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

/** Removes the ancestors of other nodes in the list: they most likely wait for those. */
function deepest(nodes: readonly NodeInfo[], byId: History["byId"]): NodeInfo[] {
  const above = new Set<number>();
  for (const node of nodes)
    for (let at = parentOf(node, byId); at !== undefined && !above.has(at.id); at = parentOf(at, byId))
      above.add(at.id);
  return nodes.filter(({ id }) => !above.has(id));
}

/** The grace period of a scope: its own, or that of the nearest ancestor with one. */
function graceOf(node: NodeInfo, byId: History["byId"]): number | undefined {
  for (let at: NodeInfo | undefined = node; at !== undefined; at = parentOf(at, byId))
    if (at.grace !== undefined) return at.grace;
  return undefined;
}

const parentOf = (node: NodeInfo, byId: History["byId"]): NodeInfo | undefined =>
  node.parent === undefined ? undefined : byId.get(node.parent);

/**
 * Finds tasks that have run for long without a signal, a callback or a wait of bough: a cancellation would not reach
 * them.
 */
function findDeaf({ look, childrenOf, thresholds }: History): Warning[] {
  const deaf = look.nodes.filter(
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

/** The maximum number of `id`s in a warning. */
const MAX_NODES = 100;
/** A program may well keep fewer handles of one place open than this. */
const MANY_HANDLES = 10;

function findUnclosed({ look, childrenOf, thresholds }: History): Warning[] {
  const unused = look.nodes.filter(
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

function findBlocked({ look, childrenOf, thresholds }: History): Warning[] {
  const { blockedIn, loopDelay, nodes } = look;
  const late = loopDelay?.max ?? 0;
  if (blockedIn === undefined && late < thresholds.blocked) return [];
  // One of the tasks that wait for nothing may be the one that runs now.
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

/** How many failures in a minute cause a warning. One or two are expected under supervision. */
const MANY_FAILURES = 3;

function findFailures({ look }: History): Warning[] {
  return look.nodes.flatMap((node) => {
    const { survived } = node;
    if (survived === undefined || survived.lastMinute < MANY_FAILURES) return [];
    const { restarts, kept, lastMinute, error } = survived;
    const parts = [
      ...(restarts > 0 ? [`was restarted ${plural(restarts, "time")}`] : []),
      ...(kept > 0 ? [`has kept ${plural(kept, "failure")} of its tasks to itself`] : []),
    ];
    return [
      {
        code: "failures" as const,
        title: `${nameOf(node)} ${parts.join(" and ")}, ${lastMinute} in the last minute`,
        detail: [...placeOf(node), `the last error: ${oneLine(error)}`],
        nodes: [node.id],
      },
    ];
  });
}

/** How many times in a row a number must grow. */
const GROWTH_LOOKS = 5;

/** Whether a number has grown in each of the last looks. The newest comes first. */
function hasGrown(counts: readonly number[]): boolean {
  if (counts.length <= GROWTH_LOOKS) return false;
  return counts.slice(0, GROWTH_LOOKS).every((count, index) => count > (counts[index + 1] as number));
}

function findGrowingQueues({ summaries, byId }: History): Warning[] {
  return [...summaries[0].queued].flatMap(([id, count]) => {
    const scope = byId.get(id);
    if (scope === undefined || !hasGrown(summaries.map(({ queued }) => queued.get(id) ?? 0))) return [];
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

/** Smaller groups may grow, for example while a program starts. */
const SMALL_GROUP = 20;

function findGrowth({ summaries }: History): Warning[] {
  return [...summaries[0].groups.values()].flatMap(({ key, count, label, age, members }) => {
    if (count < SMALL_GROUP) return [];
    if (!hasGrown(summaries.map(({ groups }) => groups.get(key)?.count ?? 0))) return [];
    return [
      {
        code: "growth",
        title: `${quote(label)} becomes more and more: ${count} now`,
        detail: [
          `the oldest has run for ${formatDuration(age.max)}`,
          `it has grown in each of the last ${GROWTH_LOOKS} looks`,
        ],
        nodes: members.slice(0, MAX_NODES),
      },
    ];
  });
}

/** Counts the scopes that may grow in number. */
export function summarise({ nodes }: Look): Summary {
  const queued = new Map<number, number>();
  for (const { status, parent } of nodes)
    if (status === "queued" && parent !== undefined) queued.set(parent, (queued.get(parent) ?? 0) + 1);
  const started = nodes.filter(({ kind, status }) => kind !== "background" && status !== "queued");
  return {
    queued,
    groups: new Map(groupNodes(started, { by: ["site"] }).map((group) => [group.key, group])),
  };
}

const quote = (name: string): string => JSON.stringify(oneLine(name));

function nameOf(node: NodeInfo): string {
  return `${node.kind === "handle" ? "scope" : node.kind} ${quote(node.name)}`;
}

function placeOf({ spawnedAt }: NodeInfo): string[] {
  return spawnedAt === undefined ? [] : [`started at ${shortSite(spawnedAt)}`];
}
