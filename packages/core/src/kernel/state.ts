/**
 * The life cycle of a node, as bits of one integer. `state` and `status` are derived from it, so that they can't
 * disagree.
 *
 * Layers above the kernel use the functions at the end of this file. Only the kernel uses the bits, since its inner
 * loops test several at once; `test/architecture.test.ts` refuses an import of a bit elsewhere. The header of
 * `lifecycle.ts` lists the states, their bits, and the transitions.
 */

/** The worker or body has been called and has not ended. */
export const BODY: number = 1 << 0;
/** Settles when its work is done: the body has ended, or `join` or `close` was called. */
export const ENDING: number = 1 << 1;
/** Cancelled; `reason` is set. Never cleared. */
export const CANCELLED: number = 1 << 2;
/** Settled: body, children and defers are done. Never cleared. */
export const CLOSED: number = 1 << 3;

/** Created by `spawn`: its failure fails its parent immediately. */
export const TASK: number = 1 << 4;
/** Owned by a handle: from `createScope` or `selfCleaning`, or of a server. */
export const HANDLE: number = 1 << 5;
/** When it has settled, the failures that no code has received go to its parent: it has a handle, or is attached to its scope. */
export const REPORTS_TO_PARENT: number = 1 << 30;
/** Cancelled when all other work of its scope has ended. */
export const DAEMON: number = 1 << 6;
/** A failing child does not fail this node. */
export const SUPERVISE: number = 1 << 7;
/** The node above all roots: never cancelled, never ends. */
export const BACKGROUND: number = 1 << 8;

/** Its worker or body has not been called yet. It may have to wait for a slot of its parent's `concurrency`. */
export const QUEUED: number = 1 << 9;
/** Marked by a cancellation whose listeners have not all run: it must not settle yet. */
export const NOTIFYING: number = 1 << 10;
/** Running its defers. */
export const CLEANING: number = 1 << 11;
/** A cancellation kept its body, or a child that is not a daemon, from finishing. */
export const CUT_SHORT: number = 1 << 12;
/** Cancelled by its own timeout rather than by an ancestor's. */
export const TIMED_OUT: number = 1 << 13;
/** Cancelled by its owner's `close()`: when it has settled, it is closed rather than cancelled. */
export const CLOSED_BY_OWNER: number = 1 << 14;
/** A caller has received its failures, or will. */
export const DELIVERED: number = 1 << 15;
/** This node or an ancestor has a deadline. */
export const UNDER_DEADLINE: number = 1 << 16;
/** This node or an ancestor has a grace period. */
export const UNDER_GRACE: number = 1 << 17;
/** Limits how many of its tasks run at once. */
export const LIMITED: number = 1 << 18;
/** Has a deadline timer. The timer keeps the process alive only while the node has something to cancel. */
export const HAS_DEADLINE_TIMER: number = 1 << 19;

/** Has or had a daemon, and counts its other children from then on. */
export const COUNTS_NON_DAEMONS: number = 1 << 21;
/** Has cancelled its daemons, since all its other work had ended. */
export const STOPPED_DAEMONS: number = 1 << 20;

/** New children are announced to the child watcher: see child-watcher.ts. */
export const WATCHED: number = 1 << 22;

/** Only its own time limit, or a call from inside, cancels it. */
export const SHIELD: number = 1 << 23;

/** The option `onOrphan` was given: dropping the handle is intended. */
export const DROPPABLE: number = 1 << 24;

/** A diagnostics channel has published its start, so its end is published, too. */
export const PUBLISHED: number = 1 << 25;

/** Became a task when `start` had its value: before that, its failure did not fail its parent. */
export const BECAME_TASK: number = 1 << 26;

/** This node or an ancestor has an option `isCancellation`. */
export const UNDER_IS_CANCELLATION: number = 1 << 27;

/** The runtime has answered in place of the handler: the status is `cancelled`, but the parent was not cut short. */
export const ANSWERED_BY_RUNTIME: number = 1 << 28;

/** Waits for a slot of its parent's `concurrency`. */
export const WAITS_FOR_SLOT: number = 1 << 29;

/** The timers of this node don't keep the process alive: the option `holdsProcess: false`. */
export const TIMERS_UNREFED: number = 1 << 31;

/** Copied from the parent when a node is created. */
export const INHERITED: number = UNDER_DEADLINE | UNDER_GRACE | UNDER_IS_CANCELLATION | TIMERS_UNREFED;

/** Linking or unlinking a child needs a further step. */
export const TRACKS_CHILDREN: number = COUNTS_NON_DAEMONS | HAS_DEADLINE_TIMER | WATCHED;

// ---- Initial states. A state of one bit is written as `0 | BIT`: it is a value, not another name for the bit.

export const initialTask: number = TASK | QUEUED;
export const initialDaemon: number = TASK | QUEUED | DAEMON;
/** A scope whose body is about to be called. */
export const initialScope: number = 0 | QUEUED;
/** A scope that a handle holds open. */
export const initialHandle: number = HANDLE | REPORTS_TO_PARENT;
/**
 * A scope with a handle that can't settle before `clearBody`. Whether its timers keep the process alive is decided
 * later.
 */
export const initialSelfCleaning: number = HANDLE | REPORTS_TO_PARENT | BODY | TIMERS_UNREFED;
/** A scope whose body is its caller: a combinator that starts its members immediately, or a request. */
export const initialGroup: number = 0 | BODY;
export const initialSupervisingGroup: number = BODY | SUPERVISE;
/** Work that runs in parallel with the scope's body, and ends with the scope: a stream, `events`, `effectionScope`. */
export const initialAttached: number = DAEMON | REPORTS_TO_PARENT | QUEUED;
export const initialShield: number = QUEUED | SHIELD;
export const initialServer: number = HANDLE | REPORTS_TO_PARENT | SUPERVISE;

// ---- Predicates

/** The part of a node that the functions below read and write. */
export interface LifeCycle {
  flags: number;
}

/** Whether the node has settled. */
export function isClosed(node: LifeCycle): boolean {
  return (node.flags & CLOSED) !== 0;
}

export function isCancelled(node: LifeCycle): boolean {
  return (node.flags & CANCELLED) !== 0;
}

/** Whether the node is neither cancelled nor closed. */
export function isLive(node: LifeCycle): boolean {
  return (node.flags & (CANCELLED | CLOSED)) === 0;
}

/** Whether a new child may be started without further checks: the node is not ending, cancelled, cleaning or closed. */
export function isOpen(node: LifeCycle): boolean {
  return (node.flags & (ENDING | CANCELLED | CLOSED | CLEANING)) === 0;
}

/** Whether the worker or body has been called and has not ended. */
export function hasRunningBody(node: LifeCycle): boolean {
  return (node.flags & BODY) !== 0;
}

/** Whether the worker may be called now: the node is not cancelled, and does not wait for a slot. */
export function canBegin(node: LifeCycle): boolean {
  return (node.flags & (CANCELLED | WAITS_FOR_SLOT)) === 0;
}

/**
 * Whether adding `child` to `parent` only takes `link`, as for most children. A child that started cancelled is not
 * linked.
 */
export function canJustLink(parent: LifeCycle, child: LifeCycle): boolean {
  return ((parent.flags & (TRACKS_CHILDREN | LIMITED)) | (child.flags & (CLOSED | DAEMON))) === 0;
}

/** Whether the node settles when its work is done. */
export function isEnding(node: LifeCycle): boolean {
  return (node.flags & ENDING) !== 0;
}

export function isTask(node: LifeCycle): boolean {
  return (node.flags & TASK) !== 0;
}

export function isDaemon(node: LifeCycle): boolean {
  return (node.flags & DAEMON) !== 0;
}

export function isBackground(node: LifeCycle): boolean {
  return (node.flags & BACKGROUND) !== 0;
}

/** Whether an owner handle holds the node open until it is closed. */
export function hasHandle(node: LifeCycle): boolean {
  return (node.flags & HANDLE) !== 0;
}

/** Whether the node outlives the call that created it: it has a handle, or is attached to its scope. */
export function isHandleOrAttached(node: LifeCycle): boolean {
  return (node.flags & REPORTS_TO_PARENT) !== 0;
}

/** Whether cancellation kept the body or a child from finishing. */
export function isCutShort(node: LifeCycle): boolean {
  return (node.flags & CUT_SHORT) !== 0;
}

/** Whether the node was cancelled by its own timeout. */
export function isTimedOut(node: LifeCycle): boolean {
  return (node.flags & TIMED_OUT) !== 0;
}

/** Whether the owner's `close()` cancelled the node and it has settled. */
export function isClosedByOwner(node: LifeCycle): boolean {
  return (node.flags & (CLOSED | CLOSED_BY_OWNER)) === (CLOSED | CLOSED_BY_OWNER);
}

/** Whether a caller has received the failures, or will. */
export function isDelivered(node: LifeCycle): boolean {
  return (node.flags & DELIVERED) !== 0;
}

/** Whether dropping the owner handle is intended. */
export function mayBeDropped(node: LifeCycle): boolean {
  return (node.flags & DROPPABLE) !== 0;
}

export function isLimited(node: LifeCycle): boolean {
  return (node.flags & LIMITED) !== 0;
}

/** Whether the daemons were cancelled because all other work had ended. */
export function hasStoppedDaemons(node: LifeCycle): boolean {
  return (node.flags & STOPPED_DAEMONS) !== 0;
}

/** Whether the node has a timer whose hold on the process follows its children. */
export function hasDeadlineTimer(node: LifeCycle): boolean {
  return (node.flags & HAS_DEADLINE_TIMER) !== 0;
}

/** Whether the timers of the node keep the process alive. */
export function timersHoldProcess(node: LifeCycle): boolean {
  return (node.flags & TIMERS_UNREFED) === 0;
}

/** Whether the node runs its defers, or was cancelled while its body runs. */
export function isWindingUp(node: LifeCycle): boolean {
  const { flags } = node;
  if ((flags & CLOSED) !== 0) return false;
  return (flags & CLEANING) !== 0 || (flags & (CANCELLED | BODY)) === (CANCELLED | BODY);
}

// ---- Transitions

/** Called before the body. */
export function beginBody(node: LifeCycle): void {
  node.flags = (node.flags & ~QUEUED) | BODY;
}

/** The body has ended. Whether the node settles then depends on its handle, or on its caller. */
export function clearBody(node: LifeCycle): void {
  node.flags &= ~BODY;
}

/** The node settles once its body and its children have. */
export function markEnding(node: LifeCycle): void {
  node.flags |= ENDING;
}

/** The node ends without its body having been called. */
export function abandonBody(node: LifeCycle): void {
  node.flags = (node.flags & ~(BODY | QUEUED)) | ENDING;
}

/** The body and the node, which was never linked, have ended. */
export function endUnlinked(node: LifeCycle): void {
  node.flags = (node.flags & ~BODY) | ENDING | CLOSED;
}

/** The node is cancelled and closed, and was never linked. */
export function closeUnlinked(node: LifeCycle): void {
  node.flags |= CANCELLED | CLOSED;
}

export function waitForSlot(node: LifeCycle): void {
  node.flags |= WAITS_FOR_SLOT;
}

export function takeSlot(node: LifeCycle): void {
  node.flags &= ~WAITS_FOR_SLOT;
}

export function markCutShort(node: LifeCycle): void {
  node.flags |= CUT_SHORT;
}

export function markDelivered(node: LifeCycle): void {
  node.flags |= DELIVERED;
}

export function markUndelivered(node: LifeCycle): void {
  node.flags &= ~DELIVERED;
}

/** The owner closes the node: from now on it refuses children instead of starting them cancelled. */
export function markClosedByOwner(node: LifeCycle): void {
  node.flags |= CLOSED_BY_OWNER;
}

/** The runtime has answered in place of the handler: its status is `cancelled`. */
export function markAnswered(node: LifeCycle): void {
  node.flags |= ANSWERED_BY_RUNTIME;
}

/** From now on a failure of the node fails its parent, as that of a task does. */
export function promoteToTask(node: LifeCycle): void {
  node.flags |= TASK | BECAME_TASK;
}

export function markDroppable(node: LifeCycle): void {
  node.flags |= DROPPABLE;
}

export function markSupervising(node: LifeCycle): void {
  node.flags |= SUPERVISE;
}

export function markLimited(node: LifeCycle): void {
  node.flags |= LIMITED;
}

export function markGrace(node: LifeCycle): void {
  node.flags |= UNDER_GRACE;
}

export function markIsCancellationOption(node: LifeCycle): void {
  node.flags |= UNDER_IS_CANCELLATION;
}
