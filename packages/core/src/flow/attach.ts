import type { ScopeKind } from "../kernel/scope-kind.js";
import { DAEMON, HANDLE, QUEUED, STOPPED_DAEMONS } from "../kernel/flags.js";
import { ScopeNode } from "../kernel/node.js";
import type { Scope } from "../kernel/scope.js";
import { cancel } from "../kernel/settle.js";
import { callSite } from "../kernel/tracing.js";
import { link } from "../kernel/tree.js";
import { admits, bornCancelled } from "../task/admit.js";
import { nodeOf } from "../task/resolve.js";
import { begin, type Worker } from "../task/run.js";

/**
 * Runs `worker` as a servant of `scope`: cancelled with it, or when nothing else is left there, and awaited. As a
 * daemon task, but it takes no slot of a `concurrency`, and nobody can await it: its failure is the scope's.
 *
 * @param api - The public function, whose name it gets, and whose call site is recorded while tracing is on.
 * @throws The reason if `scope` is cancelled, `ScopeClosedError` if it has ended: nothing was started.
 */
// oxlint-disable-next-line typescript/no-unsafe-function-type -- only its name and identity matter
export function attach(api: Function, scope: Scope, worker: Worker<unknown>): ScopeNode {
  const parent = nodeOf(api.name, "scope", scope);
  const node = new ScopeNode(parent, api.name, DAEMON | HANDLE | QUEUED);
  if (!admits(api.name, parent)) throw bornCancelled(node).reason;
  const site = callSite(api);
  if (site !== undefined) node.rare().site = site;
  link(parent, node);
  // As with a daemon task that comes too late.
  if ((parent.flags & STOPPED_DAEMONS) !== 0) cancel(node, "closed", undefined);
  begin(node, worker, api.name as ScopeKind);
  return node;
}
