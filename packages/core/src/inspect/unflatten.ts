import type { NodeInfo } from "./describe-node.js";
import type { Snapshot, SnapshotCounts } from "./snapshot.js";

type Draft = Omit<Snapshot, "counts" | "children"> & {
  readonly counts: { -readonly [K in keyof SnapshotCounts]: SnapshotCounts[K] };
  readonly children: Draft[];
};

/**
 * Makes trees of a list of scopes: what {@link flatten} undoes. What {@link walk} has found of a large tree can be printed so.
 *
 * @param nodes - Parents before their children.
 * @returns The scopes whose parent is not in the list, with what is below them.
 * @example
 * ```ts
 * await withScope({ name: "server" }, (scope) => {
 *   const [tree] = unflatten(flatten(snapshot(scope)));
 *   console.log(tree?.name); // server
 * });
 * ```
 */
export function unflatten(nodes: Iterable<NodeInfo>): Snapshot[] {
  const drafts = new Map<number, Draft>();
  const roots: Draft[] = [];
  const order: [Draft, Draft | undefined][] = [];
  for (const node of nodes) {
    const { cleanups, waiters, failures, ...info } = node;
    const parent = node.parent === undefined ? undefined : drafts.get(node.parent);
    const path =
      node.kind === "background"
        ? ""
        : parent === undefined || parent.path === ""
          ? node.name
          : `${parent.path}/${node.name}`;
    const deadline = node.ownDeadline ?? parent?.deadline;
    const counts = { children: 0, tasks: 0, queued: 0, cleanups, waiters, failures };
    const draft: Draft = {
      ...info,
      path,
      ...(deadline === undefined ? {} : { deadline }),
      counts,
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
  for (const [draft, parent] of order.toReversed())
    if (parent !== undefined) parent.counts.tasks += draft.counts.tasks + (draft.kind === "task" ? 1 : 0);
  return roots;
}
