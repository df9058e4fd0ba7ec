// The numbers at which `selfCleaning` changes its behaviour, by the file that uses them. This file imports nothing, so
// bundlers write each number where it is used.

// ---- results

/** How many members of arrays and literals are looked at, all in all. */
export const MAX_MEMBERS = 64;
/** How deep they are looked at. */
export const MAX_DEPTH = 8;

// ---- handle/handle-class.ts

/** How many fields of a class are remembered. Objects used as dictionaries have an unlimited number of keys. */
export const MAX_FIELDS = 1_000;
/** How many `build` functions of a class are checked. Most have one. A check takes a microsecond. */
export const MAX_BUILDS = 8;

// ---- handle/late-fields.ts

/** How many sources of one length are remembered. The functions of a literal often have one length. */
export const MAX_OF_LENGTH = 8;
/** Of how many lengths. */
export const MAX_LENGTHS = 1_000;
