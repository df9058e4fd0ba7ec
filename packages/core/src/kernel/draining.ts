import { DAEMON, HANDLE, TASK } from "./state.js";
import type { ScopeNode } from "./node.js";

/**
 * What the daemons of a scope take on once its shutdown has begun (rule 32).
 *
 * A server's scope and that of `main` drain before they are cancelled: what runs goes on, and nothing new begins. A daemon
 * that serves running work must go on; one that takes new work must not. They are told apart by the origin of what they
 * wait for: a value that running work has sent, or any other one.
 */
export const draining: {
  /** Whether this process has a scope that may drain. Without one, nothing is looked at. */
  isPossible: boolean;
  /** Whether one has begun to. */
  hasBegun: boolean;
} = { isPossible: false, hasBegun: false };

const drainable = new WeakSet<ScopeNode>();
const begun = new WeakSet<ScopeNode>();
/** By a daemon, how many values it has received for which it has acquired no permit. */
const received = new WeakMap<ScopeNode, number>();

/** Says that `node` will drain before it ends. */
export function markDrainable(node: ScopeNode): void {
  draining.isPossible = true;
  drainable.add(node);
}

/** From now on the daemons of `node` get no new work. */
export function beginDraining(node: ScopeNode): void {
  draining.hasBegun = true;
  begun.add(node);
}

function isDrainable(node: ScopeNode): boolean {
  const mayBe = (node.flags & HANDLE) !== 0 || node.parent?.parent === undefined; // a server, or `main`
  return mayBe && drainable.has(node);
}

/** Whether what `at` does is not a part of what its parent does: a spawned task, but not a member of `all` or `race`. */
function isOnItsOwn(at: ScopeNode): boolean {
  return (at.flags & TASK) !== 0 && at.observer?.isMember !== true;
}

/** The daemon of a scope that may drain of which `node` is a part. With `own`, not one that only started a task. */
function daemonAbove(node: ScopeNode | undefined, own: boolean): ScopeNode | undefined {
  for (let at = node; at?.parent !== undefined; at = at.parent) {
    if ((at.flags & DAEMON) !== 0 && isDrainable(at.parent)) return at;
    if (own && isOnItsOwn(at)) return undefined;
  }
  return undefined;
}

/**
 * Whether what `node` sends is for running work: it is a part of a request or a task of a scope that may drain. A daemon
 * sends new work; so does the scope itself, until the shutdown has begun.
 */
export function isRunningWork(node: ScopeNode | undefined): boolean {
  if (!draining.isPossible || node === undefined) return false;
  if (isDrainable(node)) return begun.has(node);
  let own = true;
  for (let at = node; at.parent !== undefined; at = at.parent) {
    if (isDrainable(at.parent)) return !own || (at.flags & DAEMON) === 0;
    own &&= !isOnItsOwn(at);
  }
  return false;
}

/** Whether `node` is a part of a daemon whose scope drains. */
export function isHeldBack(node: ScopeNode | undefined): boolean {
  if (!draining.hasBegun) return false;
  const daemon = daemonAbove(node, false);
  return daemon !== undefined && begun.has(daemon.parent as ScopeNode);
}

/** Notes that `node` has received a value. */
export function noteReceived(node: ScopeNode | undefined): void {
  const daemon = daemonAbove(node, false);
  if (daemon !== undefined) received.set(daemon, (received.get(daemon) ?? 0) + 1);
}

/** Whether `node` gets no permit, since it could only be for new work. */
export function getsNoPermit(node: ScopeNode): boolean {
  if (!draining.hasBegun) return false;
  const daemon = daemonAbove(node, true);
  if (daemon === undefined || !begun.has(daemon.parent as ScopeNode)) return false;
  return (received.get(daemon) ?? 0) === 0;
}

/** Notes that `node` has acquired a permit: for the value that it received, if there is one. */
export function noteAcquired(node: ScopeNode): void {
  const daemon = daemonAbove(node, true);
  const values = daemon === undefined ? undefined : received.get(daemon);
  if (values !== undefined && values > 0) received.set(daemon as ScopeNode, values - 1);
}
