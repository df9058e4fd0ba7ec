import { requireFunction } from "../errors/validate.js";
import type { Scope } from "../kernel/scope.js";
import { isRoutine, type Routine } from "../task/routine.js";
import type { Worker } from "../task/worker.js";
import { runWithScope } from "./current-scope.js";

/**
 * Wraps `worker` so that its own scope is the current scope while it runs: `currentScope()` then returns the scope that
 * the worker received.
 *
 * @param worker - Any worker. The task gets its name.
 * @returns A worker for `spawn`, `withScope`, `main` and every other function that takes one.
 * @throws {TypeError} If `worker` is not a function.
 * @example
 * ```ts
 * async function step(): Promise<string | undefined> {
 *   return currentScope()?.path;
 * }
 * await withScope(ambient(async function job(scope) {
 *   console.log(await step(), await spawn(scope, ambient(step))); // job job/step
 * }));
 * ```
 */
export function ambient<T>(worker: Worker<T>): Worker<T> {
  requireFunction("ambient", "worker", worker);
  const wrapped: Worker<T> = (scope) => {
    const result = runWithScope(scope, () => worker(scope));
    return isRoutine(result) ? stepwise(scope, result) : result;
  };
  return Object.defineProperty(wrapped, "name", { value: worker.name });
}

/** Other code resumes a generator, so the current scope is set for each of its steps. */
function stepwise<T>(scope: Scope, routine: Routine<T>): Routine<T> {
  const stepping = {
    next: (value: unknown) => runWithScope(scope, () => routine.next(value)),
    return: (value: T) => runWithScope(scope, () => routine.return(value)),
    throw: (error: unknown) => runWithScope(scope, () => routine.throw(error)),
    [Symbol.iterator]: () => stepping,
  };
  return stepping as Routine<T>;
}
