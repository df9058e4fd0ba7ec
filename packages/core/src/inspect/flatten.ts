import type { NodeInfo } from "./describe-node.js";
import type { Snapshot } from "./unflatten.js";

/**
 * Converts a snapshot to a list, parents first and children in spawn order, like the slices of {@link walk}.
 *
 * @param snapshot - The result of `snapshot()`.
 * @returns One entry for each scope, without its children.
 * @example
 * ```ts
 * await withScope({ name: "server" }, (scope) => {
 *   spawn(scope, (task) => sleep(task, 1), { name: "job" });
 *   console.log(flatten(snapshot(scope)).map(({ name }) => name)); // [ "server", "job" ]
 * });
 * ```
 */
export function flatten(snapshot: Snapshot): NodeInfo[] {
  const found: NodeInfo[] = [];
  const todo: Snapshot[] = [snapshot];
  for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
    const { counts, children, path: _path, deadline: _deadline, ...info } = at;
    const { cleanups, waiters, failures } = counts;
    found.push({ ...info, cleanups, waiters, failures });
    for (let index = children.length - 1; index >= 0; index--) todo.push(children[index] as Snapshot);
  }
  return found;
}
