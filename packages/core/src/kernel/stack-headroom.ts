import { SHALLOW } from "./constants.js";

/** How deeply calls of workers are nested: a worker spawns a worker, which spawns a worker, all in one turn. */
export const workerNesting = { depth: 0 };

/**
 * The room on the stack that the runtime and the platform may need to handle a failure at the deepest level: 6,144
 * words, passed as arguments. Without that room, a call with so many arguments fails before it begins.
 */
const words: readonly undefined[] = Array.from({ length: 6_144 }, () => undefined);

function nothing(): void {}

/**
 * Throws a stack overflow early, for workers that spawn workers without end. Nothing was started yet, and the callers
 * still have enough room on the stack to clean up.
 *
 * @throws {RangeError} The engine's own.
 */
export function checkStackHeadroom(): void {
  if (workerNesting.depth > SHALLOW) Reflect.apply(nothing, undefined, words);
}

/** Whether `error` is the engine's error for a stack without room. */
export function isStackOverflow(error: unknown): boolean {
  try {
    if (!(error instanceof Error)) return false;
    const { name, message } = error;
    return (
      (name === "RangeError" && message === "Maximum call stack size exceeded") ||
      (name === "InternalError" && message === "too much recursion")
    );
  } catch {
    return false; // a getter that throws
  }
}
