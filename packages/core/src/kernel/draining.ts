import { DAEMON, HANDLE, TASK } from "./state.js";
import type { ScopeNode } from "./node.js";

/**
 * Decides which values and permits the daemons of a scope get once its shutdown has begun (rule 32).
 *
 * A server's scope and that of `main` drain before they are cancelled: running work goes on, and no new work begins.
 * A daemon that serves running work must go on, and a daemon that takes new work must not. The origin of the value
 * that a daemon waits for tells them apart: running work has sent it, or other code has.
 */
export const draining: {
  /** Whether this process has a scope that may drain. Without one, nothing is checked. */
  isPossible: boolean;
  /** Whether a scope has begun to drain. */
  hasBegun: boolean;
} = { isPossible: false, hasBegun: false };

const drainableScopes = new WeakSet<ScopeNode>();
const drainingScopes = new WeakSet<ScopeNode>();
/** Key: a daemon. Value: how many values it has received for which it has acquired no permit. */
const receivedValues = new WeakMap<ScopeNode, number>();

/** Says that `node` will drain before it ends. */
export function markDrainable(node: ScopeNode): void {
  draining.isPossible = true;
  drainableScopes.add(node);
}

/** From now on the daemons of `node` get no new work. */
export function beginDraining(node: ScopeNode): void {
  draining.hasBegun = true;
  drainingScopes.add(node);
}

function isDrainable(node: ScopeNode): boolean {
  const mayBe = (node.flags & HANDLE) !== 0 || node.parent?.parent === undefined; // a server, or `main`
  return mayBe && drainableScopes.has(node);
}

/** Whether the work of `at` is not a part of its parent's work: a spawned task, but not a member of `all` or `race`. */
function isIndependent(at: ScopeNode): boolean {
  return (at.flags & TASK) !== 0 && at.observer?.isMember !== true;
}

/**
 * The daemon that `node` is a part of, if the scope of the daemon may drain. With `own`, a task that the daemon has
 * only started is not a part of it.
 */
function enclosingDaemon(node: ScopeNode | undefined, own: boolean): ScopeNode | undefined {
  for (let at = node; at?.parent !== undefined; at = at.parent) {
    if ((at.flags & DAEMON) !== 0 && isDrainable(at.parent)) return at;
    if (own && isIndependent(at)) return undefined;
  }
  return undefined;
}

/**
 * Whether a value that `node` sends is for running work: it is a part of a request or a task of a scope that may
 * drain. A daemon sends new work; so does the scope itself, until the shutdown has begun.
 */
export function isForRunningWork(node: ScopeNode | undefined): boolean {
  if (!draining.isPossible || node === undefined) return false;
  if (isDrainable(node)) return drainingScopes.has(node);
  let own = true;
  for (let at = node; at.parent !== undefined; at = at.parent) {
    if (isDrainable(at.parent)) return !own || (at.flags & DAEMON) === 0;
    own &&= !isIndependent(at);
  }
  return false;
}

/** Whether `node` is a part of a daemon whose scope drains. */
export function isReceiveDenied(node: ScopeNode | undefined): boolean {
  if (!draining.hasBegun) return false;
  const daemon = enclosingDaemon(node, false);
  return daemon !== undefined && drainingScopes.has(daemon.parent as ScopeNode);
}

/** Notes that `node` has received a value. */
export function recordReceivedValue(node: ScopeNode | undefined): void {
  const daemon = enclosingDaemon(node, false);
  if (daemon !== undefined) receivedValues.set(daemon, (receivedValues.get(daemon) ?? 0) + 1);
}

/** Whether `node` gets no permit, since it could only be for new work. */
export function isPermitDenied(node: ScopeNode): boolean {
  if (!draining.hasBegun) return false;
  const daemon = enclosingDaemon(node, true);
  if (daemon === undefined || !drainingScopes.has(daemon.parent as ScopeNode)) return false;
  return (receivedValues.get(daemon) ?? 0) === 0;
}

/** Notes that `node` has acquired a permit: for the value that it received, if there is one. */
export function recordAcquiredPermit(node: ScopeNode): void {
  const daemon = enclosingDaemon(node, true);
  const values = daemon === undefined ? undefined : receivedValues.get(daemon);
  if (values !== undefined && values > 0) receivedValues.set(daemon as ScopeNode, values - 1);
}
