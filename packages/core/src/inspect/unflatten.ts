import type { NodeInfo } from "./describe-node.js";

/** A scope and everything below it at one moment. Plain data that keeps no scope alive. */
export interface Snapshot extends Omit<NodeInfo, "cleanups" | "failures" | "waiters"> {
  /** Names from the root, joined by `/`. Empty for the background. */
  readonly path: string;
  /** The earliest deadline on the way to the root, in epoch ms. */
  readonly deadline?: number;
  /** The numbers of its contents. */
  readonly counts: SnapshotCounts;
  /** The live children in spawn order. */
  readonly children: readonly Snapshot[];
}

/** The numbers of a scope's contents. */
export interface SnapshotCounts {
  /** Live children, of any kind. */
  readonly children: number;
  /** Live tasks below, at any depth. */
  readonly tasks: number;
  /** How many of the children wait for a slot of this scope's `concurrency`. */
  readonly queued: number;
  /** Cleanups (`defer`, `use`) that have not begun. */
  readonly cleanups: number;
  /** Pending `join` and `close` calls. */
  readonly waiters: number;
  /** Failures recorded so far. */
  readonly failures: number;
}

type Draft = Omit<Snapshot, "counts" | "children"> & {
  readonly counts: { -readonly [K in keyof SnapshotCounts]: SnapshotCounts[K] };
  readonly children: Draft[];
};

/**
 * Builds trees from a list of scopes: the inverse of {@link flatten}. Use it to print the scopes that {@link walk} has
 * found in a large tree.
 *
 * @param nodes - Parents before their children.
 * @returns The scopes whose parent is not in the list, with the scopes below them.
 * @example
 * ```ts
 * await withScope({ name: "server" }, (scope) => {
 *   const [tree] = unflatten(flatten(snapshot(scope)));
 *   console.log(tree?.name); // server
 * });
 * ```
 */
export function unflatten(nodes: Iterable<NodeInfo>): Snapshot[] {
  return nest(nodes, {});
}

/**
 * Like {@link unflatten}, for a part of a tree.
 *
 * @param top - The path and the inherited deadline of the scopes without a parent in the list.
 */
export function nest(
  nodes: Iterable<NodeInfo>,
  top: { readonly path?: string; readonly deadline?: number | undefined },
): Snapshot[] {
  const drafts = new Map<number, Draft>();
  const roots: Draft[] = [];
  const order: [Draft, Draft | undefined][] = [];
  for (const node of nodes) {
    const { cleanups, waiters, failures, ...info } = node;
    const parent = node.parent === undefined ? undefined : drafts.get(node.parent);
    const deadline = node.ownDeadline ?? (parent ?? top).deadline;
    const draft: Draft = {
      ...info,
      path: parent === undefined ? (top.path ?? pathBelow("", node)) : pathBelow(parent.path, node),
      ...(deadline === undefined ? {} : { deadline }),
      counts: { children: 0, tasks: 0, queued: 0, cleanups, waiters, failures },
      children: [],
    };
    drafts.set(node.id, draft);
    order.push([draft, parent]);
    if (parent === undefined) {
      roots.push(draft);
      continue;
    }
    parent.children.push(draft);
    parent.counts.children += 1;
    if (node.status === "queued") parent.counts.queued += 1;
  }
  // Children come after their parents. In reverse order, each count is complete when its parent adds it.
  for (const [draft, parent] of order.toReversed())
    if (parent !== undefined) parent.counts.tasks += draft.counts.tasks + (draft.kind === "task" ? 1 : 0);
  return roots;
}

/** V8 shares the text with the parent's path. At 100,000 levels, copies would take gigabytes. */
function pathBelow(path: string, { kind, name }: NodeInfo): string {
  if (kind === "background") return "";
  return path === "" ? name : `${path}/${name}`;
}
