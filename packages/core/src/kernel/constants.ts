// The numbers at which the kernel changes its behaviour, by the file that uses them. This file imports nothing, so bundlers write
// each number where it is used.

// ---- turn-budget.ts

/** How many operations may complete in one turn of the event loop without having waited. */
export const OPERATIONS_PER_TURN = 100;
/** From this operation of a turn on, the turn is timed. This costs a callback of the event loop and reading the clock. */
export const FIRST_TIMED_OPERATION = 50;
/** How long the operations of one turn may take together, in ms. */
export const TURN_SLICE = 4;

// ---- monotonic-clock.ts

/** How much too early a timer may fire, in ms, as real ones do. */
export const MAX_EARLY = 2;
/** If the calendar differs by more than this from the expected time, in ms, it was set. */
export const MAX_CALENDAR_DRIFT = 1_000;
/** V8 stores integers up to this without an object. */
export const MAX_SMALL_INTEGER: number = 2 ** 30;
/** How many equal readings of the clock in a row start the reuse of a reading. */
export const MIN_EQUAL_READINGS = 4;
/**
 * How many scopes of a burst must have shared a reading so that the next burst shares its first one. The end of a burst
 * takes as long as one or two readings.
 */
export const MIN_SHARING = 2;
/** How many scopes then share a reading. */
export const SCOPES_PER_READING = 64;

// ---- long-timer.ts

/** The longest delay `setTimeout` takes; a longer one fires at once. */
export const MAX_DELAY: number = 2 ** 31 - 1;

// ---- diagnostics.ts

/** After this many starts without a subscriber, all channels are checked for subscribers. */
export const MAX_STARTS_WITHOUT_SUBSCRIBER = 64;

// ---- cancellation.ts

/** The array of marked nodes is dropped after a cancellation with more entries than this. */
export const MAX_MARKED_KEPT = 1_000;
/** A more deeply nested cancellation only marks its subtree. The outermost one notifies it, so that a chain needs no stack. */
export const MAX_NESTED_CANCELLATIONS = 32;

// ---- is-cancellation.ts

/** How many causes of an error to follow; a chain can be circular. */
export const MAX_CAUSES = 100;

// ---- suppressed-failures.ts

/** How many siblings to check. There may be a hundred thousand. */
export const MAX_SIBLINGS = 1_000;

// ---- survived-failures.ts

/** How many times of survived failures are kept, and so the largest number that a report may name. */
export const MAX_FAILURE_TIMES = 16;

// ---- stack-headroom.ts

/** Ordinary programs nest workers less deeply than this, and pay nothing. */
export const SHALLOW = 8;

// ---- reuse-pool.ts

/** The number of objects that a pool keeps. More are in use at once only under load. */
export const MAX_REUSED = 256;
