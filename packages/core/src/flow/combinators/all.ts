import { initialGroup } from "../../kernel/state.js";
import type { Scope } from "../../kernel/scope.js";
import { callSite } from "../../kernel/call-site.js";
import { fail } from "../../kernel/lifecycle.js";
import type { Worker } from "../../task/worker.js";
import type { CombinatorOptions } from "./combinator-options.js";
import { Group, runGroup, type WorkerResult } from "./group.js";

/**
 * Runs `workers` concurrently, each as a task, and resolves with their values in the order of the workers.
 *
 * **Failure:** the first failure cancels the other workers (kind `"failure"`); workers that have not been started are not
 * called. When all have settled, the promise rejects with that failure, the same object; later failures are in
 * `suppressed(error)`. Only the caller receives the failure: `scope` is not cancelled. A worker that cancels its own
 * scope has no value, so that counts as a failure.
 *
 * **Cancellation:** when `scope` is cancelled, so are the workers. Once they have settled, the promise rejects with the
 * reason, unless every worker has returned a value nevertheless. If `scope` is already cancelled, no worker is called.
 *
 * @param scope - The owner of the workers.
 * @param workers - Functions, generator functions included. Called synchronously, in order.
 * @param options - `name`, and `timeout` in ms: how long the whole call may take.
 * @returns Their values; a tuple for a tuple. Empty if there are no workers.
 * @throws {ScopeClosedError} (as a rejection) If `scope` has ended.
 * @throws {DeadlineExceededError} (as a rejection) If `timeout` has passed.
 * @throws {TypeError | RangeError} (as a rejection) If an argument is bad. Nothing was started.
 * @example
 * ```ts
 * const [one, two] = await withScope((scope) => all(scope, [() => 1, async () => "two"]));
 * console.log(one + 1, two.toUpperCase()); // 2 TWO
 * ```
 */
export function all<const W extends readonly Worker<unknown>[]>(
  scope: Scope,
  workers: W,
  options?: CombinatorOptions,
): Promise<{ -readonly [K in keyof W]: WorkerResult<W[K]> }> {
  return runGroup("all", workers, options, () => new All(scope, options));
}

class All<R> extends Group<R> {
  readonly #values: unknown[] = [];

  constructor(scope: Scope, options: CombinatorOptions | undefined) {
    super("all", callSite(all), scope, initialGroup, options);
    this.node.value = this.#values;
  }

  succeeded(value: unknown, index: number): void {
    this.#values[index] = value;
  }

  failed(error: unknown): void {
    fail(this.node, error);
  }
}
