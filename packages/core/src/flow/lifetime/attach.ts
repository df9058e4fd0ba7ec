import type { ScopeKind } from "../../kernel/scope-kind.js";
import { DAEMON, FAILS_PARENT, QUEUED } from "../../kernel/state.js";
import { checkHeadroom } from "../../kernel/headroom.js";
import { ScopeNode } from "../../kernel/node.js";
import type { Scope } from "../../kernel/scope.js";
import { callSite } from "../../kernel/call-site.js";
import { admits, bornCancelled } from "../../task/admit.js";
import { nodeOf } from "../../task/resolve.js";
import type { Worker } from "../../task/run.js";
import { startChild } from "../../task/start-child.js";

/**
 * Runs `worker` as a servant of `scope`: cancelled with it, or when nothing else is left there, and awaited. As a
 * daemon task, but it takes no slot of a `concurrency`, and nobody can await it: its failure is the scope's.
 *
 * @param api - The public function, whose name it gets, and whose call site is recorded while tracing is on.
 * @throws The reason if `scope` is cancelled, `ScopeClosedError` if it has ended: nothing was started.
 */
// oxlint-disable-next-line typescript/no-unsafe-function-type -- only its name and identity matter
export function attach(api: Function, scope: Scope, worker: Worker<unknown>): ScopeNode {
  checkHeadroom();
  const parent = nodeOf(api.name, "scope", scope);
  const node = new ScopeNode(parent, api.name, DAEMON | FAILS_PARENT | QUEUED);
  if (!admits(api.name, parent)) throw bornCancelled(node).reason;
  startChild(node, undefined, callSite(api), worker, api.name as ScopeKind);
  return node;
}
