import { isObjectLike } from "../errors/user-values.js";
import type { Effect } from "effection";
import { BoughError } from "../errors/bough-error.js";
import type { ScopeNode } from "../kernel/node.js";

/**
 * The result of a generator function: an Effection `Operation` in the only form that is run. (Every iterable has the
 * type `Operation`. With that type, the value of a worker that returns a string or an array would be lost.)
 */
export type Routine<T> = Generator<Effect<unknown>, T, unknown>;

/** Runs the generator that a worker returned as the body of `node`. */
export type RoutineRunner = (node: ScopeNode, routine: Routine<unknown>) => Promise<unknown>;

let runner: RoutineRunner | undefined;

/**
 * Lets generator functions be workers. `bough/effection` calls it when it is loaded; the core does not load Effection.
 */
export function setRoutineRunner(run: RoutineRunner): void {
  runner = run;
}

type Step = (...args: never[]) => unknown;

/**
 * Whether a worker returned the result of a generator function: an object with `next`, `return` and `throw`. Arrays,
 * other iterables and async generators are plain values.
 */
export function isRoutine(value: unknown): value is Routine<unknown> {
  if (!isObjectLike(value)) return false;
  try {
    if (Symbol.asyncIterator in value) return false;
    const { next, return: end, throw: raise } = value as { next?: Step; return?: Step; throw?: Step };
    return typeof next === "function" && typeof end === "function" && typeof raise === "function";
  } catch {
    return false; // a proxy that throws for unknown names: a plain value, as from an async worker
  }
}

/** @throws {BoughError} If `bough/effection` has not been loaded. The generator has not begun. */
export function runRoutine(node: ScopeNode, routine: Routine<unknown>): Promise<unknown> {
  if (runner !== undefined) return runner(node, routine);
  throw new BoughError(
    "BOUGH_NO_EFFECTION",
    `${node.name}: the worker returned a generator, which runs as an Effection operation only after ` +
      'import "bough/effection"',
  );
}
