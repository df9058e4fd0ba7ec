import { initialSupervisingGroup } from "../../kernel/state.js";
import type { Scope } from "../../kernel/scope.js";
import { callSite } from "../../kernel/call-site.js";
import type { Worker } from "../../task/worker.js";
import type { CombinatorOptions } from "./combinator-options.js";
import { Group, runGroup, type WorkerResult } from "./group.js";

/**
 * Runs `workers` concurrently, each as a task, and resolves with the result of each, as `Promise.allSettled` does.
 *
 * **Failure:** the failure of a worker is its result and cancels nothing. If a worker fails after `scope` was cancelled,
 * in a cleanup, the promise rejects with that failure, and the failures before it are in `suppressed(error)`.
 *
 * **Cancellation:** when `scope` is cancelled, so are the workers, and the promise rejects with the reason once
 * they have settled; earlier failures are in `suppressed(reason)`. If `scope` is already cancelled, no worker is called.
 *
 * @param scope - The owner of the workers.
 * @param workers - Functions, generator functions included. Called synchronously, in order.
 * @param options - `name`, and `timeout` in ms: how long the whole call may take.
 * @returns The results in the order of the workers; a tuple for a tuple.
 * @throws {ScopeClosedError} (as a rejection) If `scope` has ended.
 * @throws {DeadlineExceededError} (as a rejection) If `timeout` has passed.
 * @throws {TypeError | RangeError} (as a rejection) If an argument is bad. Nothing was started.
 * @example
 * ```ts
 * const results = await withScope((scope) =>
 *   allSettled(scope, [() => 1, () => { throw new Error("no"); }]),
 * );
 * console.log(results.map((result) => result.status)); // [ "fulfilled", "rejected" ]
 * ```
 */
export function allSettled<const W extends readonly Worker<unknown>[]>(
  scope: Scope,
  workers: W,
  options?: CombinatorOptions,
): Promise<{ -readonly [K in keyof W]: PromiseSettledResult<WorkerResult<W[K]>> }> {
  return runGroup("allSettled", workers, options, () => new AllSettled(scope, options));
}

class AllSettled<R> extends Group<R> {
  readonly #results: PromiseSettledResult<unknown>[] = [];
  readonly #failures: unknown[] = [];

  constructor(scope: Scope, options: CombinatorOptions | undefined) {
    super("allSettled", callSite(allSettled), scope, initialSupervisingGroup, options);
    this.node.value = this.#results;
  }

  succeeded(value: unknown, index: number): void {
    this.#results[index] = { status: "fulfilled", value };
  }

  failed(reason: unknown, index: number): void {
    this.#results[index] = { status: "rejected", reason };
    this.#failures.push(reason);
  }

  override ignoredFailures(): unknown[] {
    return this.#failures;
  }
}
