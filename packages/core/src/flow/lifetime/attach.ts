import type { ScopeKind } from "../../kernel/scope-kind.js";
import { DAEMON, FAILS_PARENT, QUEUED } from "../../kernel/state.js";
import { checkHeadroom } from "../../kernel/headroom.js";
import { ScopeNode } from "../../kernel/node.js";
import type { Scope } from "../../kernel/scope.js";
import { admits, bornCancelled } from "../../task/admit.js";
import { nodeOf } from "../../task/resolve.js";
import type { Worker } from "../../task/run.js";
import { startChild } from "../../task/start-child.js";

/**
 * Runs `worker` as a servant of `scope`: cancelled with it, or when nothing else is left there, and awaited. As a
 * daemon task, but it takes no slot of a `concurrency`, and nobody can await it: its failure is the scope's.
 *
 * @param operation - The public function, whose name it gets. Not read off the function: a bundler may have renamed it.
 * @param site - Where that was called; see `callSite`.
 * @throws The reason if `scope` is cancelled, `ScopeClosedError` if it has ended: nothing was started.
 */
export function attach(
  operation: ScopeKind,
  site: string | undefined,
  scope: Scope,
  worker: Worker<unknown>,
): ScopeNode {
  checkHeadroom();
  const parent = nodeOf(operation, "scope", scope);
  const node = new ScopeNode(parent, operation, DAEMON | FAILS_PARENT | QUEUED);
  if (!admits(operation, parent)) throw bornCancelled(node).reason;
  startChild(node, undefined, site, worker, operation);
  return node;
}
