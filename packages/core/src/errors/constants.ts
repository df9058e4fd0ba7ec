// As `kernel/constants.ts`, for the files of this folder.

// ---- foreign-aborts.ts

/** How many errors, and how many aggregates, are inspected inside one error. An error with more counts as a failure. */
export const MAX_INNER_ERRORS = 100_000;
export const MAX_AGGREGATES = 1_000;
/** How far to follow the prototypes of an error: a proxy can have any number of them. */
export const MAX_CLASSES = 32;

// ---- scope-errors.ts

/** How many tasks the message of a `StuckTasksError` names; `tasks` has all of them. */
export const MAX_NAMED_TASKS = 10;

// ---- option-names.ts

/** How many letters of a misspelt option may be wrong, missing or superfluous. */
export const MAX_DISTANCE = 3;
