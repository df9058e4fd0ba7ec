import type { NodeInfo } from "./describe-node.js";

/** The changes in a tree between two looks. */
export interface TreeDiff {
  /** Scopes that are new, in the order of the later look. */
  readonly added: readonly NodeInfo[];
  /** Scopes that have ended, as they were in the earlier look. */
  readonly removed: readonly NodeInfo[];
  /** Scopes whose state, reason or wait has changed. */
  readonly changed: readonly { readonly before: NodeInfo; readonly after: NodeInfo }[];
}

/**
 * Compares two looks at one process, by the `id` of the scopes. Ages and remaining times are not a change.
 *
 * @param before - The scopes of the first look, from {@link walk} or {@link flatten}.
 * @param after - The scopes of the later look.
 * @returns The scopes that were added, removed and changed.
 * @example
 * ```ts
 * await withScope(async (scope) => {
 *   const before = flatten(snapshot(scope));
 *   spawn(scope, (task) => sleep(task, 1), { name: "job" });
 *   const { added } = diffNodes(before, flatten(snapshot(scope)));
 *   console.log(added.map(({ name }) => name)); // [ "job" ]
 * });
 * ```
 */
export function diffNodes(before: Iterable<NodeInfo>, after: Iterable<NodeInfo>): TreeDiff {
  const known = new Map(Array.from(before, (node) => [node.id, node]));
  const added: NodeInfo[] = [];
  const changed: { before: NodeInfo; after: NodeInfo }[] = [];
  for (const node of after) {
    const earlier = known.get(node.id);
    known.delete(node.id);
    if (earlier === undefined) added.push(node);
    else if (comparedFields(earlier) !== comparedFields(node)) changed.push({ before: earlier, after: node });
  }
  return { added, removed: [...known.values()], changed };
}

function comparedFields(node: NodeInfo): string {
  const { state, status, reason, waits, failures, cleanups, waitingForCleanup, joining } = node;
  const operations = waits?.map(({ operation }) => operation);
  return JSON.stringify([state, status, reason, operations, failures, cleanups, waitingForCleanup, joining]);
}
