/**
 * The life of a node in one integer. `state` and `status` are derived from it, so that they can't disagree.
 */

/** The worker or body has been called and has not ended. */
export const BODY = 1 << 0;
/** No longer held open: the body has ended, or `join`/`close` was called. */
export const ENDING = 1 << 1;
/** Cancelled; `reason` is set. Never taken back. */
export const CANCELLED = 1 << 2;
/** Settled: children, defers and body are done. Never taken back. */
export const CLOSED = 1 << 3;

/** Made by `spawn`: its failure is its parent's, at once. */
export const TASK = 1 << 4;
/** Made by `createScope`: owned by a handle. */
export const HANDLE = 1 << 5;
/** Cancelled when its scope has nothing else left to do. */
export const DAEMON = 1 << 6;
/** A failing child stays the child's affair. */
export const SUPERVISE = 1 << 7;
/** The node above all roots: never cancelled, never ends. */
export const BACKGROUND = 1 << 8;

/** Its worker or body has not been called yet; it may have to wait for a slot of its parent's `concurrency`. */
export const QUEUED = 1 << 9;
/** Marked by a cancellation whose listeners have not all run: must not settle yet. */
export const NOTIFYING = 1 << 10;
/** Running its defers. */
export const CLEANING = 1 << 11;
/** Cancellation kept its body, or a child that is no daemon, from finishing. */
export const CUT = 1 << 12;
/** Cancelled by its own timeout rather than by an ancestor's. */
export const TIMED_OUT = 1 << 13;
/** Cancelled by its owner's `close()`: when it has settled, it is closed rather than cancelled. */
export const CLOSED_BY_OWNER = 1 << 14;
/** Somebody has received its failures, or will. */
export const DELIVERED = 1 << 15;
/** This node or an ancestor has a deadline. */
export const HAS_DEADLINE = 1 << 16;
/** This node or an ancestor has a grace period. */
export const HAS_GRACE = 1 << 17;
/** Limits how many of its tasks run at once. */
export const LIMITED = 1 << 18;
/** Has a timer of its own, whose hold on the process follows its children. */
export const HAS_TIMER = 1 << 19;

/** Has cancelled its daemons: nothing else was left to do. */
export const STOPPED_DAEMONS = 1 << 20;

/** What a new node takes over from its parent. */
export const INHERITED: number = HAS_DEADLINE | HAS_GRACE;
