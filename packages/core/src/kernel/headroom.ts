/** How deeply calls of workers are nested right now, each begun by the one before in the same turn. */
export const nesting = { depth: 0 };

/** As deep as ordinary programs nest them, with room to spare: they pay nothing. */
const SHALLOW = 8;

/**
 * What the runtime and the platform may need to bring a failure from the deepest level to an end: 6,144 words, passed as arguments. A
 * call with so many fails before it begins where the stack has no room for them.
 */
const words: readonly undefined[] = Array.from({ length: 6_144 }, () => undefined);

function nothing(): void {}

/**
 * Throws the stack overflow that is to come while nothing has been started and the callers above still have the room to
 * clean up: a worker that spawns a worker that spawns a worker, without end.
 *
 * @throws {RangeError} The engine's own.
 */
export function checkHeadroom(): void {
  if (nesting.depth > SHALLOW) Reflect.apply(nothing, undefined, words);
}

/** Whether `error` is the engine's word for a stack without room. */
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
