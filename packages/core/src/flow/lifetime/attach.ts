import type { ScopeKind } from "../../kernel/scope-kind.js";
import { initialAttached } from "../../kernel/state.js";
import type { ScopeNode } from "../../kernel/node.js";
import type { Scope } from "../../kernel/scope.js";
import { makeLiveChild, startChild } from "../../task/child.js";
import { nodeOf } from "../../task/node-of.js";
import type { Worker } from "../../task/worker.js";

/**
 * Runs `worker` as a daemon of `scope`: it is cancelled with `scope`, or when all other work of `scope` has ended.
 *
 * Unlike a daemon task it takes no slot of a `concurrency`, and there is no task to await: its failure is the failure of
 * `scope`.
 *
 * @param operation - The public function, whose name the child gets. Not read off the function: a bundler may have
 *   renamed it.
 * @param site - The call site of that function; see `callSite`.
 * @returns The node of the child.
 * @throws The reason if `scope` is cancelled, a `ScopeClosedError` if it has ended. Nothing was started.
 */
export function attach(
  operation: ScopeKind,
  scope: Scope,
  site: string | undefined,
  worker: Worker<unknown>,
): ScopeNode {
  const parent = nodeOf(operation, "scope", scope);
  const node = makeLiveChild(operation, parent, operation, initialAttached);
  startChild(node, worker, undefined, site, operation);
  return node;
}
