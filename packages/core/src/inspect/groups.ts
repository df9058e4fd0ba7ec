import { checkOptionsObject, outOfRange, wrongType } from "../errors/validate.js";
import { optionNames } from "../errors/option-names.js";
import type { NodeInfo, NodeKind } from "./describe-node.js";

/** A property that the members of a group have in common. */
export type GroupBy = "site" | "name" | "kind" | "state" | "wait";

/** The options of {@link groupNodes}. */
export interface GroupOptions {
  /**
   * The properties that the members of a group have in common. `site` is where they were spawned, or their name if that
   * was not recorded. Default: `["site", "state", "wait"]`.
   */
  readonly by?: readonly GroupBy[];
}

const groupOptionNames = optionNames<GroupOptions>({ by: true });

/** A group of similar scopes and tasks. Plain data. */
export interface NodeGroup {
  /** Identifies the group across looks. */
  readonly key: string;
  /** For people: `orders.ts:88, sleep`. */
  readonly label: string;
  /** How many members it has. */
  readonly count: number;
  /** The name of the oldest member. */
  readonly name: string;
  /** The kind of the oldest member. */
  readonly kind: NodeKind;
  /** Percentiles of the ages in ms: half of the members are younger than `p50`. */
  readonly age: { readonly p50: number; readonly p95: number; readonly p99: number; readonly max: number };
  /** The `id`s of the members, the oldest first. */
  readonly members: readonly number[];
}

/**
 * Groups similar scopes, the largest group first. It reduces a hundred thousand tasks to a few dozen groups.
 *
 * @param nodes - The scopes, from {@link walk} or {@link flatten}.
 * @param options - The properties to group by.
 * @returns The groups, the largest first.
 * @throws {TypeError | RangeError} If an argument or an option is wrong.
 * @example
 * ```ts
 * await withScope(async (scope) => {
 *   for (let job = 0; job < 3; job++) spawn(scope, function worker(task) { return sleep(task, 10); });
 *   const [group] = groupNodes(flatten(snapshot(scope)).slice(1));
 *   console.log(group?.count, group?.label); // 3 worker, sleep
 * });
 * ```
 */
export function groupNodes(nodes: Iterable<NodeInfo>, options: GroupOptions = {}): NodeGroup[] {
  checkOptionsObject("groupNodes", options, groupOptionNames);
  const { by = ["site", "state", "wait"] } = options;
  if (!Array.isArray(by)) throw wrongType("groupNodes", "by must be an array", by);
  for (const name of by)
    if (!Object.hasOwn(parts, name))
      throw outOfRange("groupNodes", `by must contain only ${Object.keys(parts).join(", ")}`, name);
  const groups = new Map<string, NodeInfo[]>();
  for (const node of nodes) {
    const key = by.map((name) => parts[name as GroupBy](node)).join("\u0000");
    const members = groups.get(key);
    if (members === undefined) groups.set(key, [node]);
    else members.push(node);
  }
  return Array.from(groups, ([key, members]) => summarise(key, members)).sort(
    (a, b) => b.count - a.count || b.age.max - a.age.max,
  );
}

const parts: Readonly<Record<GroupBy, (node: NodeInfo) => string>> = {
  site: (node) => (node.spawnedAt === undefined ? node.name : shortSite(node.spawnedAt)),
  name: (node) => node.name,
  kind: (node) => node.kind,
  state: (node) => (node.state === "open" ? (node.status === "queued" ? "queued" : "") : node.state),
  wait: (node) => node.waits?.[0]?.operation ?? (node.joining === true ? "join" : ""),
};

function summarise(key: string, members: NodeInfo[]): NodeGroup {
  members.sort((a, b) => b.age - a.age);
  const [first] = members as [NodeInfo];
  const ageAt = (share: number): number => {
    // The oldest comes first: a hundredth of the members are older than p99.
    const index = Math.floor(members.length * (1 - share));
    return (members[index] as NodeInfo).age;
  };
  return {
    key,
    label: key
      .split("\u0000")
      .filter((part) => part !== "")
      .join(", "),
    count: members.length,
    name: first.name,
    kind: first.kind,
    age: { p50: ageAt(0.5), p95: ageAt(0.95), p99: ageAt(0.99), max: first.age },
    members: members.map(({ id }) => id),
  };
}

/** The last two parts of a path and the line: `src/orders.ts:88`. */
export function shortSite(site: string): string {
  const [, path = site] = /\(?([^()]+)\)?$/.exec(site) ?? [];
  const parts = path
    .replace(/^file:\/\//, "")
    .replace(/(:\d+):\d+$/, "$1")
    .split(/[\\/]/);
  return parts.slice(-2).join("/");
}
