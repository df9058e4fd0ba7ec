import { refuseOptions } from "../errors/validate.js";
import type { CancelledError } from "../errors/cancelled.js";
import { elapsed } from "../kernel/monotonic-clock.js";
import type { ScopeNode } from "../kernel/node.js";
import { backgroundNode } from "../kernel/scope-view.js";
import type { Scope } from "../kernel/scope.js";
import { nextInSubtree } from "../kernel/tree.js";
import { nodeOf } from "../task/node-of.js";
import { describeNode, type NodeInfo, type ReasonInfo } from "./describe-node.js";
import { isLeftByClock } from "./virtual-clock-scopes.js";
import { nest, type Snapshot } from "./unflatten.js";

/**
 * Returns a snapshot of a tree: each live scope with its state, its age, and the work that it waits for.
 *
 * It changes nothing, needs no tracing, and is linear in the number of live scopes, at any depth. It takes some
 * microseconds for each scope, in one turn of the event loop. For a large tree use {@link walk}, which does not block.
 * `JSON.stringify` recurses, and can't print a snapshot of some thousand levels; {@link stringifyTree} and {@link
 * formatTree} can.
 *
 * @param scope - Where to begin. Default: the background, which is the whole process.
 * @returns The scope, with everything below it.
 * @throws {TypeError} If `scope` is not a scope.
 * @example
 * ```ts
 * await withScope({ name: "server" }, async (scope) => {
 *   spawn(scope, function heartbeat(task) { return sleep(task, 10); });
 *   const { children } = snapshot(scope);
 *   console.log(children.map((child) => child.path)); // [ "server/heartbeat" ]
 * });
 * ```
 */
export function snapshot(scope?: Scope): Snapshot;
export function snapshot(scope?: Scope, extra?: unknown): Snapshot {
  refuseOptions("snapshot", extra);
  const root = scope === undefined ? backgroundNode : nodeOf("snapshot", "scope", scope);
  const now = Math.floor(elapsed());
  const reasons = new Map<CancelledError, ReasonInfo>();
  const nodes: NodeInfo[] = [];
  for (let at: ScopeNode | undefined = root; at !== undefined; at = nextInSubtree(root, at, false)) {
    const info = describeNode(at, now, reasons);
    nodes.push(isLeftByClock(at) ? { ...info, leftByClock: true } : info);
  }
  const [tree] = nest(nodes, { path: root.path, deadline: root.deadline });
  return tree as Snapshot;
}
