/**
 * The life cycle of a node, as bits of one integer. `state` and `status` are derived from it, so that they can't
 * disagree.
 *
 * All other files use the functions below: predicates, then transitions. No other file knows the bits, which
 * `test/architecture.test.ts` checks. Each function is one expression, and the build puts it where it is called
 * (`scripts/inline-state.mjs`). The header of `lifecycle.ts` lists the states, their bits, and the transitions.
 */

/** The worker or body has been called and has not ended. */
const BODY: number = 1 << 0;
/** Settles when its work is done: the body has ended, or `join` or `close` was called. */
const ENDING: number = 1 << 1;
/** Cancelled; `reason` is set. Never cleared. */
const CANCELLED: number = 1 << 2;
/** Settled: body, children and defers are done. Never cleared. */
const CLOSED: number = 1 << 3;

/** Created by `spawn`: its failure fails its parent immediately. */
const TASK: number = 1 << 4;
/** Owned by a handle: from `createScope` or `selfCleaning`, or of a server. */
const HANDLE: number = 1 << 5;
/** When it has settled, the failures that no code has received go to its parent: it has a handle, or is attached to its scope. */
const REPORTS_TO_PARENT: number = 1 << 30;
/** Cancelled when all other work of its scope has ended. */
const DAEMON: number = 1 << 6;
/** A failing child does not fail this node. */
const SUPERVISE: number = 1 << 7;
/** The node above all roots: never cancelled, never ends. */
const BACKGROUND: number = 1 << 8;

/** Its worker or body has not been called yet. It may have to wait for a slot of its parent's `concurrency`. */
const QUEUED: number = 1 << 9;
/** Marked by a cancellation whose listeners have not all run: it must not settle yet. */
const NOTIFYING: number = 1 << 10;
/** Running its defers. */
const CLEANING: number = 1 << 11;
/** A cancellation kept its body, or a child that is not a daemon, from finishing. */
const CUT_SHORT: number = 1 << 12;
/** Cancelled by its own timeout rather than by an ancestor's. */
const TIMED_OUT: number = 1 << 13;
/** Cancelled by its owner's `close()`: when it has settled, it is closed rather than cancelled. */
const CLOSED_BY_OWNER: number = 1 << 14;
/** A caller has received its failures, or will. */
const DELIVERED: number = 1 << 15;
/** This node or an ancestor has a deadline. */
const UNDER_DEADLINE: number = 1 << 16;
/** This node or an ancestor has a grace period. */
const UNDER_GRACE: number = 1 << 17;
/** Limits how many of its tasks run at once. */
const LIMITED: number = 1 << 18;
/** Has a deadline timer. The timer keeps the process alive only while the node has something to cancel. */
const HAS_DEADLINE_TIMER: number = 1 << 19;

/** Has or had a daemon, and counts its other children from then on. */
const COUNTS_NON_DAEMONS: number = 1 << 21;
/** Has cancelled its daemons, since all its other work had ended. */
const STOPPED_DAEMONS: number = 1 << 20;

/** New children are announced to the child watcher: see child-watcher.ts. */
const WATCHED: number = 1 << 22;

/** Only its own time limit, or a call from inside, cancels it. */
const SHIELD: number = 1 << 23;

/** The option `onOrphan` was given: dropping the handle is intended. */
const DROPPABLE: number = 1 << 24;

/** A diagnostics channel has published its start, so its end is published, too. */
const PUBLISHED: number = 1 << 25;

/** Became a task when `start` had its value: before that, its failure did not fail its parent. */
const BECAME_TASK: number = 1 << 26;

/** This node or an ancestor has an option `isCancellation`. */
const UNDER_IS_CANCELLATION: number = 1 << 27;

/** The runtime has answered in place of the handler: the status is `cancelled`, but the parent was not cut short. */
const ANSWERED_BY_RUNTIME: number = 1 << 28;

/** Waits for a slot of its parent's `concurrency`. */
const WAITS_FOR_SLOT: number = 1 << 29;

/** The timers of this node don't keep the process alive: the option `holdsProcess: false`. */
const TIMERS_UNREFED: number = 1 << 31;

/** Copied from the parent when a node is created. */
const INHERITED: number = UNDER_DEADLINE | UNDER_GRACE | UNDER_IS_CANCELLATION | TIMERS_UNREFED;

/** Linking or unlinking a child needs a further step. */
const TRACKS_CHILDREN: number = COUNTS_NON_DAEMONS | HAS_DEADLINE_TIMER | WATCHED;

/** The states and properties of a node in which something could notice that it is cancelled, or has noticed. */
const ACTIVE: number = BODY | QUEUED | NOTIFYING | CLEANING | CANCELLED | CLOSED | UNDER_GRACE | BACKGROUND;

// ---- Initial states. A state of one bit is written as `0 | BIT`: it is a value, not another name for the bit.

/** The node above all roots. */
export const initialBackground: number = 0 | BACKGROUND;
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

type Predicate = (node: LifeCycle) => boolean;
type PairPredicate = (parent: LifeCycle, child: LifeCycle) => boolean;

/** Whether the node has settled. */
export const isClosed: Predicate = (node) => (node.flags & CLOSED) !== 0;

export const isCancelled: Predicate = (node) => (node.flags & CANCELLED) !== 0;

/** Whether the node is neither cancelled nor closed. */
export const isLive: Predicate = (node) => (node.flags & (CANCELLED | CLOSED)) === 0;

/** Whether a new child may be started without further checks: the node is not ending, cancelled, cleaning or closed. */
export const isOpen: Predicate = (node) => (node.flags & (ENDING | CANCELLED | CLOSED | CLEANING)) === 0;

/** Whether the worker or body has been called and has not ended. */
export const hasRunningBody: Predicate = (node) => (node.flags & BODY) !== 0;

/** Whether the worker may be called now: the node is not cancelled, and does not wait for a slot. */
export const canBegin: Predicate = (node) => (node.flags & (CANCELLED | WAITS_FOR_SLOT)) === 0;

/**
 * Whether adding `child` to `parent` only takes `link`, as for most children. A child that started cancelled is not
 * linked.
 */
export const canJustLink: PairPredicate = (parent, child) =>
  ((parent.flags & (TRACKS_CHILDREN | LIMITED)) | (child.flags & (CLOSED | DAEMON))) === 0;

/** Whether the node settles when its work is done. */
export const isEnding: Predicate = (node) => (node.flags & ENDING) !== 0;

export const isTask: Predicate = (node) => (node.flags & TASK) !== 0;

export const isDaemon: Predicate = (node) => (node.flags & DAEMON) !== 0;

export const isBackground: Predicate = (node) => (node.flags & BACKGROUND) !== 0;

/** Whether an owner handle holds the node open until it is closed. */
export const hasHandle: Predicate = (node) => (node.flags & HANDLE) !== 0;

/** Whether the node outlives the call that created it: it has a handle, or is attached to its scope. */
export const isHandleOrAttached: Predicate = (node) => (node.flags & REPORTS_TO_PARENT) !== 0;

/** Whether cancellation kept the body or a child from finishing. */
export const isCutShort: Predicate = (node) => (node.flags & CUT_SHORT) !== 0;

/** Whether the node was cancelled by its own timeout. */
export const isTimedOut: Predicate = (node) => (node.flags & TIMED_OUT) !== 0;

/** Whether the owner's `close()` cancelled the node and it has settled. */
export const isClosedByOwner: Predicate = (node) =>
  (node.flags & (CLOSED | CLOSED_BY_OWNER)) === (CLOSED | CLOSED_BY_OWNER);

/** Whether a caller has received the failures, or will. */
export const isDelivered: Predicate = (node) => (node.flags & DELIVERED) !== 0;

/** Whether dropping the owner handle is intended. */
export const mayBeDropped: Predicate = (node) => (node.flags & DROPPABLE) !== 0;

export const isLimited: Predicate = (node) => (node.flags & LIMITED) !== 0;

/** Whether the daemons were cancelled because all other work had ended. */
export const hasStoppedDaemons: Predicate = (node) => (node.flags & STOPPED_DAEMONS) !== 0;

/** Whether the node has a timer whose hold on the process follows its children. */
export const hasDeadlineTimer: Predicate = (node) => (node.flags & HAS_DEADLINE_TIMER) !== 0;

/** Whether the timers of the node keep the process alive. */
export const timersHoldProcess: Predicate = (node) => (node.flags & TIMERS_UNREFED) === 0;

/** Whether the node runs its defers, or was cancelled while its body runs. */
export const isWindingUp: Predicate = (node) =>
  (node.flags & CLOSED) === 0 &&
  ((node.flags & CLEANING) !== 0 || (node.flags & (CANCELLED | BODY)) === (CANCELLED | BODY));

/** Whether it is cancelled and its listeners have run. */
export const wasNotified: Predicate = (node) => (node.flags & (CANCELLED | NOTIFYING)) === CANCELLED;

export const isNotifying: Predicate = (node) => (node.flags & NOTIFYING) !== 0;

export const isCleaning: Predicate = (node) => (node.flags & CLEANING) !== 0;

/** Whether the body has not been called. */
export const isQueued: Predicate = (node) => (node.flags & QUEUED) !== 0;

/** Whether the body runs, or is still to be called. */
export const hasPendingBody: Predicate = (node) => (node.flags & (BODY | QUEUED)) !== 0;

/** Whether a call may cancel the node: it is neither cancelled nor closed, nor the background. */
export const canBeCancelled: Predicate = (node) => (node.flags & (CANCELLED | CLOSED | BACKGROUND)) === 0;

/** Whether the cancellation of its parent cancels the node. */
export const canBeCancelledFromAbove: Predicate = (node) =>
  (node.flags & (CANCELLED | CLOSED | SHIELD)) === 0;

/** Whether the node is to settle, and only its children can keep it from that. */
export const canSettle: Predicate = (node) =>
  (node.flags & (BODY | NOTIFYING | CLEANING | CLOSED)) === 0 && (node.flags & (CANCELLED | ENDING)) !== 0;

/** Whether only its handle keeps the node open. */
export const isHeldOpen: Predicate = (node) => (node.flags & (HANDLE | ENDING | CANCELLED)) === HANDLE;

/** Whether nothing in the node, except its children, listeners and defers, could notice a cancellation, or has noticed one. */
export const isIdle: Predicate = (node) => (node.flags & ACTIVE) === 0;

/** Whether it was a task from the start. */
export const startedAsTask: Predicate = (node) => (node.flags & (TASK | BECAME_TASK)) === TASK;

/** Whether it is a task that its own timeout kept from finishing. */
export const isTaskCutShortByTimeout: Predicate = (node) =>
  (node.flags & (TASK | TIMED_OUT | CUT_SHORT)) === (TASK | TIMED_OUT | CUT_SHORT);

/** Whether the failure of a task fails the node. */
export const failsWithTasks: Predicate = (node) => (node.flags & (SUPERVISE | BACKGROUND)) === 0;

export const isSupervising: Predicate = (node) => (node.flags & SUPERVISE) !== 0;

export const isShield: Predicate = (node) => (node.flags & SHIELD) !== 0;

export const isAnsweredByRuntime: Predicate = (node) => (node.flags & ANSWERED_BY_RUNTIME) !== 0;

export const isUnderDeadline: Predicate = (node) => (node.flags & UNDER_DEADLINE) !== 0;

export const isUnderGrace: Predicate = (node) => (node.flags & UNDER_GRACE) !== 0;

export const isUnderIsCancellation: Predicate = (node) => (node.flags & UNDER_IS_CANCELLATION) !== 0;

export const isPublished: Predicate = (node) => (node.flags & PUBLISHED) !== 0;

export const isWatched: Predicate = (node) => (node.flags & WATCHED) !== 0;

export const countsNonDaemons: Predicate = (node) => (node.flags & COUNTS_NON_DAEMONS) !== 0;

/** Whether linking or unlinking a child takes a further step. */
export const tracksChildren: Predicate = (node) => (node.flags & TRACKS_CHILDREN) !== 0;

/** Whether linking `child` takes a further step. */
export const hasToTrack: PairPredicate = (parent, child) =>
  ((child.flags & DAEMON) | (parent.flags & TRACKS_CHILDREN)) !== 0;

// ---- Transitions

type Transition = (node: LifeCycle) => void;

/** What a child takes over from its parent when it is created. */
export const inheritedFlags = (parent: LifeCycle): number => parent.flags & INHERITED;

/** The node is cancelled, and its listeners have not run. */
export const beginNotifying: Transition = (node) => (node.flags |= CANCELLED | NOTIFYING);

/** The node, which is cancelled, has listeners to run. */
export const markNotifying: Transition = (node) => (node.flags |= NOTIFYING);

export const endNotifying: Transition = (node) => (node.flags &= ~NOTIFYING);

export const markCancelled: Transition = (node) => (node.flags |= CANCELLED);

export const markTimedOut: Transition = (node) => (node.flags |= TIMED_OUT);

/** The body has ended: the node settles once its children have. */
export const endBody: Transition = (node) => (node.flags = (node.flags & ~BODY) | ENDING);

export const beginCleanup: Transition = (node) => (node.flags |= CLEANING);

export const endCleanup: Transition = (node) => (node.flags &= ~CLEANING);

export const markClosed: Transition = (node) => (node.flags |= CLOSED);

/** From now on, daemons start cancelled. */
export const markStoppedDaemons: Transition = (node) => (node.flags |= STOPPED_DAEMONS);

/** Perhaps not all daemons were stopped. */
export const markDaemonsStarted: Transition = (node) => (node.flags &= ~STOPPED_DAEMONS);

export const beginCountingNonDaemons: Transition = (node) => (node.flags |= COUNTS_NON_DAEMONS);

export const markDeadline: Transition = (node) => (node.flags |= UNDER_DEADLINE);

export const markDeadlineTimer: Transition = (node) => (node.flags |= HAS_DEADLINE_TIMER);

/** The timers of the node don't keep the process alive. */
export const unrefTimers: Transition = (node) => (node.flags |= TIMERS_UNREFED);

export const refTimers: Transition = (node) => (node.flags &= ~TIMERS_UNREFED);

export const markPublished: Transition = (node) => (node.flags |= PUBLISHED);

export const markWatched: Transition = (node) => (node.flags |= WATCHED);

/** Called before the body. */
export const beginBody: Transition = (node) => (node.flags = (node.flags & ~QUEUED) | BODY);

/** The body has ended. Whether the node settles then depends on its handle, or on its caller. */
export const clearBody: Transition = (node) => (node.flags &= ~BODY);

/** The node settles once its body and its children have. */
export const markEnding: Transition = (node) => (node.flags |= ENDING);

/** The node ends without its body having been called. */
export const abandonBody: Transition = (node) => (node.flags = (node.flags & ~(BODY | QUEUED)) | ENDING);

/** The body and the node, which was never linked, have ended. */
export const endUnlinked: Transition = (node) => (node.flags = (node.flags & ~BODY) | ENDING | CLOSED);

/** The node is cancelled and closed, and was never linked. */
export const closeUnlinked: Transition = (node) => (node.flags |= CANCELLED | CLOSED);

export const waitForSlot: Transition = (node) => (node.flags |= WAITS_FOR_SLOT);

export const takeSlot: Transition = (node) => (node.flags &= ~WAITS_FOR_SLOT);

export const markCutShort: Transition = (node) => (node.flags |= CUT_SHORT);

export const markDelivered: Transition = (node) => (node.flags |= DELIVERED);

export const markUndelivered: Transition = (node) => (node.flags &= ~DELIVERED);

/** The owner closes the node: from now on it refuses children instead of starting them cancelled. */
export const markClosedByOwner: Transition = (node) => (node.flags |= CLOSED_BY_OWNER);

/** The runtime has answered in place of the handler: its status is `cancelled`. */
export const markAnswered: Transition = (node) => (node.flags |= ANSWERED_BY_RUNTIME);

/** From now on a failure of the node fails its parent, as that of a task does. */
export const promoteToTask: Transition = (node) => (node.flags |= TASK | BECAME_TASK);

export const markDroppable: Transition = (node) => (node.flags |= DROPPABLE);

export const markSupervising: Transition = (node) => (node.flags |= SUPERVISE);

export const markLimited: Transition = (node) => (node.flags |= LIMITED);

export const markGrace: Transition = (node) => (node.flags |= UNDER_GRACE);

export const markIsCancellationOption: Transition = (node) => (node.flags |= UNDER_IS_CANCELLATION);
