import { hasHandle, isDaemon, isTask } from "./state.js";
import type { ScopeNode } from "./node.js";

// Which values and permits the daemons of a scope may receive once its shutdown has begun (rule 32).
//
// The scopes of servers and of `main` drain before they are cancelled: running work continues, and no new work begins.
// A daemon that serves running work must continue; a daemon that takes new work must not. The sender of the value that
// a daemon waits for decides: running work, or other code. The guards in `flow/sync` apply these rules.

const drainableScopes = new WeakSet<ScopeNode>();
const drainingScopes = new WeakSet<ScopeNode>();
/** Whether a scope has begun to drain. */
let hasBegun = false;
/** By daemon: the number of received values for which it has not acquired a permit yet. */
const receivedValues = new WeakMap<ScopeNode, number>();

/** Marks a node that will drain before it ends. */
export function markDrainable(node: ScopeNode): void {
  drainableScopes.add(node);
}

/** Begins to drain: the daemons of `node` receive no new work from now on. */
export function beginDraining(node: ScopeNode): void {
  hasBegun = true;
  drainingScopes.add(node);
}

function isDrainable(node: ScopeNode): boolean {
  const mayBe = hasHandle(node) || node.parent?.parent === undefined; // a server, or `main`
  return mayBe && drainableScopes.has(node);
}

/**
 * Whether `at` does its own work: a spawned task, or an item of a source. A member of `all` or `race` is part of its
 * parent's work.
 */
function isIndependent(at: ScopeNode): boolean {
  if (!isTask(at)) return false;
  return at.observer?.isMember !== true || at.parent?.extras?.bodyKind === "source";
}

/**
 * The daemon that `node` belongs to, if the scope of the daemon may drain. With `own`, a task that the daemon has
 * spawned does not belong to it.
 */
function enclosingDaemon(node: ScopeNode | undefined, own: boolean): ScopeNode | undefined {
  for (let at = node; at?.parent !== undefined; at = at.parent) {
    if (isDaemon(at) && isDrainable(at.parent)) return at;
    if (own && isIndependent(at)) return undefined;
  }
  return undefined;
}

/**
 * Whether a value that `node` sends belongs to running work: `node` is part of a request or a task of a scope that may
 * drain. A value from a daemon is new work. So is one from the scope itself, until the shutdown has begun.
 */
export function isForRunningWork(node: ScopeNode | undefined): boolean {
  if (node === undefined) return false;
  if (isDrainable(node)) return drainingScopes.has(node);
  let own = true;
  for (let at = node; at.parent !== undefined; at = at.parent) {
    if (isDrainable(at.parent)) return !own || !isDaemon(at);
    own &&= !isIndependent(at);
  }
  return false;
}

/** Whether `node` may receive only values of running work: it belongs to a daemon whose scope drains. */
export function isReceiveDenied(node: ScopeNode | undefined): boolean {
  if (!hasBegun) return false;
  const daemon = enclosingDaemon(node, false);
  return daemon !== undefined && drainingScopes.has(daemon.parent as ScopeNode);
}

/** Records that `node` has received a value. */
export function recordReceivedValue(node: ScopeNode | undefined): void {
  const daemon = enclosingDaemon(node, false);
  if (daemon !== undefined) receivedValues.set(daemon, (receivedValues.get(daemon) ?? 0) + 1);
}

/** Whether `node` may not acquire a permit, since it would be for new work. */
export function isPermitDenied(node: ScopeNode): boolean {
  if (!hasBegun) return false;
  const daemon = enclosingDaemon(node, true);
  if (daemon === undefined || !drainingScopes.has(daemon.parent as ScopeNode)) return false;
  return (receivedValues.get(daemon) ?? 0) === 0;
}

/** Records that `node` has acquired a permit, for a value that it has received if there is one. */
export function recordAcquiredPermit(node: ScopeNode): void {
  const daemon = enclosingDaemon(node, true);
  const values = daemon === undefined ? undefined : receivedValues.get(daemon);
  if (values !== undefined && values > 0) receivedValues.set(daemon as ScopeNode, values - 1);
}
