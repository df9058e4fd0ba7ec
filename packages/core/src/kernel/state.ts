/**
 * The life of a node in one integer. `state` and `status` are derived from it, so that they can't disagree.
 */

/** The worker or body has been called and has not ended. */
export const BODY: number = 1 << 0;
/** No longer held open: the body has ended, or `join`/`close` was called. */
export const ENDING: number = 1 << 1;
/** Cancelled; `reason` is set. Never taken back. */
export const CANCELLED: number = 1 << 2;
/** Settled: children, defers and body are done. Never taken back. */
export const CLOSED: number = 1 << 3;

/** Made by `spawn`: its failure is its parent's, at once. */
export const TASK: number = 1 << 4;
/** Owned by a handle: of `createScope`, `selfCleaning`, a server. */
export const HANDLE: number = 1 << 5;
/** Nobody holds it: a failure that nobody has received is its parent's, as that of a {@link HANDLE} is. */
export const FAILS_PARENT: number = 1 << 30;
/** Cancelled when its scope has nothing else left to do. */
export const DAEMON: number = 1 << 6;
/** A failing child stays the child's affair. */
export const SUPERVISE: number = 1 << 7;
/** The node above all roots: never cancelled, never ends. */
export const BACKGROUND: number = 1 << 8;

/** Its worker or body has not been called yet; it may have to wait for a slot of its parent's `concurrency`. */
export const QUEUED: number = 1 << 9;
/** Marked by a cancellation whose listeners have not all run: must not settle yet. */
export const NOTIFYING: number = 1 << 10;
/** Running its defers. */
export const CLEANING: number = 1 << 11;
/** Cancellation kept its body, or a child that is no daemon, from finishing. */
export const CUT: number = 1 << 12;
/** Cancelled by its own timeout rather than by an ancestor's. */
export const TIMED_OUT: number = 1 << 13;
/** Cancelled by its owner's `close()`: when it has settled, it is closed rather than cancelled. */
export const CLOSED_BY_OWNER: number = 1 << 14;
/** Somebody has received its failures, or will. */
export const DELIVERED: number = 1 << 15;
/** This node or an ancestor has a deadline. */
export const HAS_DEADLINE: number = 1 << 16;
/** This node or an ancestor has a grace period. */
export const HAS_GRACE: number = 1 << 17;
/** Limits how many of its tasks run at once. */
export const LIMITED: number = 1 << 18;
/** Has a timer of its own, whose hold on the process follows its children. */
export const HAS_TIMER: number = 1 << 19;

/** Has or had a daemon, and counts its other children since. */
export const HAS_DAEMONS: number = 1 << 21;
/** Has cancelled its daemons: nothing else was left to do. */
export const STOPPED_DAEMONS: number = 1 << 20;

/** Somebody wants to hear of its new children: see watch.ts. */
export const WATCHED: number = 1 << 22;

/** A cancellation from outside does not enter it; its own time limit, or one from inside, does. */
export const SHIELD: number = 1 << 23;

/** Its user has said what is to happen when the owner handle is dropped. */
export const MAY_BE_DROPPED: number = 1 << 24;

/** A diagnostics channel has told of its start. */
export const TOLD: number = 1 << 25;

/** A task whose failure was its own affair at first: inside, it is a scope. */
export const PROMOTED: number = 1 << 26;

/** This node or an ancestor has an option `isCancellation`. */
export const HAS_JUDGE: number = 1 << 27;

/** Was given its end in its holder's place: cancelled to whoever asks, but nothing of its parent's was cut short. */
export const ANSWERED: number = 1 << 28;
/** Waits for a slot of its parent's `concurrency`. */
export const WAITING: number = 1 << 29;

/** Timers of this node don't keep the process alive. */
export const UNHELD: number = 1 << 31;

/** What a new node takes over from its parent. */
export const INHERITED: number = HAS_DEADLINE | HAS_GRACE | HAS_JUDGE | UNHELD;
