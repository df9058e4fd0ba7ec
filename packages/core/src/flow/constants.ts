// The numbers at which the functions of this folder change their behaviour, by the file that uses them. This file imports
// nothing, so bundlers write each number where it is used.

// ---- sync/channel-core.ts

/** A channel with fewer close listeners does not search them for listeners that were collected. */
export const MIN_LISTENERS = 64;

// ---- time/checkpoint.ts

/** How long, in ms, all computations together may run before timers and I/O get a turn. */
export const SLICE_MS = 5;
/** How many calls use up a slice, too: under a fake clock that stands still, no slice would ever end by time. */
export const MAX_CALLS = 10_000;
