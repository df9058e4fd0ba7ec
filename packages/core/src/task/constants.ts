// The numbers at which the tasks and handles change their behaviour, by the file that uses them. This file imports nothing, so
// bundlers write each number where it is used.

// ---- orphan.ts

/**
 * A registry serves this many handles; then the next one is created. The watch of a live scope keeps its registry
 * alive. V8 calls back for one registry after the other. So the workers of one registry stop while they are in the
 * processor's cache, and the table of a registry's tokens is small. With a single registry for 65,536 handles it takes
 * half as long again.
 */
export const HANDLES_PER_REGISTRY = 256;
/** How long further orphans of a path are counted before they are reported together, in ms. */
export const REPORT_INTERVAL = 10_000;
/** How many paths are counted separately. */
export const MAX_PATHS = 1_000;

// ---- forced-collection.ts

/** An object that one collection frees may have kept another alive: a finalizer's held value, a weak map's entry. */
export const COLLECTIONS = 3;
