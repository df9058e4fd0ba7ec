import { BODY } from "../../kernel/state.js";
import type { Scope } from "../../kernel/scope.js";
import { callSite } from "../../kernel/call-site.js";
import { fail } from "../../kernel/lifecycle.js";
import type { Worker } from "../../task/run.js";
import { Group, runGroup, type WorkerResult } from "./group.js";

/**
 * Runs `workers` at once, each as a task, and resolves with their values in the order of the workers.
 *
 * **Failure:** the first worker that fails cancels the others (kind `"failure"`), and those that were not started
 * yet never are. When all have settled, the promise rejects with that failure, the same object; later ones are in
 * `suppressed(error)`. The failure goes to the caller alone: `scope` does not hear of it. A worker that cancels
 * its own scope has no value to give: that fails the others, too.
 *
 * **Cancellation:** when `scope` is cancelled, so are the workers; the promise rejects with the reason once they
 * have settled, unless each of them has returned a value all the same. In a scope that is cancelled already no
 * worker is called.
 *
 * @param scope - The owner of the workers.
 * @param workers - Functions, generator functions included. Called synchronously, in order.
 * @returns Their values; a tuple for a tuple. Empty for no workers.
 * @throws {ScopeClosedError} (as a rejection) If `scope` has ended.
 * @throws {TypeError} (as a rejection) If an argument is of the wrong type. Nothing was started.
 * @example
 * ```ts
 * const [one, two] = await withScope((scope) => all(scope, [() => 1, async () => "two"]));
 * console.log(one + 1, two.toUpperCase()); // 2 TWO
 * ```
 */
export function all<const W extends readonly Worker<unknown>[]>(
  scope: Scope,
  workers: W,
): Promise<{ -readonly [K in keyof W]: WorkerResult<W[K]> }> {
  return runGroup("all", workers, () => new All(scope));
}

class All<R> extends Group<R> {
  readonly #values: unknown[] = [];

  constructor(scope: Scope) {
    super("all", callSite(all), scope, BODY);
    this.node.value = this.#values;
  }

  succeeded(value: unknown, index: number): void {
    this.#values[index] = value;
  }

  failed(error: unknown): void {
    fail(this.node, error);
  }
}
