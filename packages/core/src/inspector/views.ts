import { waitLabel, type Look, type NodeInfo, type Warning } from "../inspect/index.js";
import { shortSite } from "../inspect/groups.js";
import { waitOf } from "../inspect/similar.js";
import { siteOf, type Counts, type Group, type TreeIndex } from "./tree-index.js";

/** A scope as a row of a list. */
export interface NodeRow {
  readonly id: number;
  readonly name: string;
  readonly kind: string;
  /** Where it is in its life, and what it waits for. */
  readonly state: string;
  readonly wait: string;
  readonly age: number;
  /** Milliseconds until its own deadline; negative after it. */
  readonly left?: number;
  readonly site: string;
  readonly status?: number;
  readonly note?: string;
  readonly failures: number;
  readonly holding: boolean;
}

/** What every page is sent, once a second. */
export interface Frame {
  readonly at: number;
  readonly counts: Counts;
  readonly loopDelay?: Look["loopDelay"];
  readonly blockedIn?: string;
  /** Absent if the tree is too large for them to be looked for. */
  readonly warnings?: readonly WarningRow[];
  readonly groups: readonly GroupRow[];
  /** How many groups are not in the list. */
  readonly moreGroups: number;
  readonly requests: readonly NodeRow[];
}

/** Something that is probably wrong. */
export interface WarningRow {
  readonly code: string;
  readonly title: string;
  readonly detail: readonly string[];
  /** The first scope that it is about. */
  readonly id?: number;
}

/** A group as a row of a list. */
interface GroupRow {
  readonly key: string;
  readonly name: string;
  readonly kind: string;
  readonly state: string;
  readonly wait: string;
  readonly site: string;
  readonly count: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly oldest: number;
}

const MAX_GROUPS = 100;
const MAX_REQUESTS = 200;

/** Of a scope what a list shows. Nothing that may contain a value: no causes, no data of integrations. */
export function nodeRow(node: NodeInfo, at: number): NodeRow {
  const { id, kind, age, ownDeadline, note, failures, request, waitingForCleanup } = node;
  return {
    id,
    name: nameOf(node),
    kind: node.daemon === true ? "daemon" : kind,
    state: stateOf(node),
    wait: node.waits?.map(waitLabel).join(" · ") ?? (node.joining === true ? "join of its children" : ""),
    age,
    ...(ownDeadline === undefined ? {} : { left: ownDeadline - at }),
    site: siteOf(node),
    ...(request?.status === undefined ? {} : { status: request.status }),
    ...(note === undefined ? {} : { note }),
    failures,
    holding: waitingForCleanup,
  };
}

/** The name without a query string. */
export function nameOf(node: NodeInfo): string {
  if (node.request !== undefined) return `${node.request.method} ${node.request.route}`;
  return withoutQuery(node.name);
}

/** Scopes may be named after an address. */
export const withoutQuery = (name: string): string => name.replace(/(\/[^\s?]*)\?\S*/g, "$1");

/** `open` and `running` go without saying. */
export function stateOf(node: NodeInfo): string {
  if (node.state === "open") return node.status === "queued" ? "queued" : "";
  return node.reason === undefined ? node.state : `${node.state} (${node.reason.kind})`;
}

export function warningRow({ code, title, detail, nodes: [id] }: Warning): WarningRow {
  return {
    code,
    title: withoutQuery(title),
    detail: detail.map((line) => withoutQuery(line.replace(/file:\/\/\S+/g, shortSite))),
    ...(id === undefined ? {} : { id }),
  };
}

export function frameOf(index: TreeIndex, warnings: readonly WarningRow[] | undefined): Frame {
  const { look, counts } = index;
  const groups = [...index.groups.values()].sort((a, b) => b.count - a.count || b.oldest - a.oldest);
  const requests = [...index.requests].sort((a, b) => b.age - a.age).slice(0, MAX_REQUESTS);
  return {
    at: look.at,
    counts,
    ...(look.loopDelay === undefined ? {} : { loopDelay: look.loopDelay }),
    ...(look.blockedIn === undefined ? {} : { blockedIn: look.blockedIn }),
    ...(warnings === undefined ? {} : { warnings }),
    groups: groups.slice(0, MAX_GROUPS).map(groupRow),
    moreGroups: Math.max(0, groups.length - MAX_GROUPS),
    requests: requests.map((node) => nodeRow(node, look.at)),
  };
}

function groupRow({ key, first, name, count, oldest, ages }: Group): GroupRow {
  const sorted = [...ages].sort((a, b) => a - b);
  const ageAt = (share: number): number => sorted[Math.floor((sorted.length - 1) * share)] ?? 0;
  return {
    key,
    name: count === 1 ? nameOf(first) : first.request === undefined ? withoutQuery(name) : nameOf(first),
    kind: first.kind,
    state: stateOf(first),
    wait: waitOf(first),
    site: siteOf(first),
    count,
    p50: ageAt(0.5),
    p95: ageAt(0.95),
    p99: ageAt(0.99),
    oldest,
  };
}
