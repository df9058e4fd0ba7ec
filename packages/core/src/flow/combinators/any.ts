import { detached } from "../../errors/detach-stack.js";
import { initialSupervisingGroup } from "../../kernel/state.js";
import { isStackOverflow } from "../../kernel/stack-headroom.js";
import type { Scope } from "../../kernel/scope.js";
import { callSite } from "../../kernel/call-site.js";
import { fail } from "../../kernel/lifecycle.js";
import type { Worker } from "../../task/worker.js";
import type { CombinatorOptions } from "./combinator-options.js";
import { Group, runGroup, type WorkerResult } from "./group.js";

/**
 * Runs `workers` concurrently and resolves with the value of the first that succeeds, once the others have settled.
 *
 * If a worker succeeds while the workers are being started, the workers after it are not called.
 *
 * **Failure:** failures before the first success are ignored. If every worker fails, the promise rejects with an
 * `AggregateError` whose `errors` are in the order of the workers. If a loser fails after the decision, in its cleanup,
 * the promise rejects with that failure, and the ignored failures are in `suppressed(error)`. Only the caller receives
 * the failure.
 *
 * **Cancellation:** losers are cancelled with kind `"closed"`, and `any` waits for them. When `scope` is cancelled before
 * a worker has succeeded, so are the workers, and the promise rejects with the reason; earlier failures are in
 * `suppressed(reason)`. If `scope` is already cancelled, no worker is called.
 *
 * @param scope - The owner of the workers.
 * @param workers - Functions, called synchronously, in order. The values of losers are discarded.
 * @param options - `name`, and `timeout` in ms: how long the whole call may take.
 * @returns The winner's value.
 * @throws {AggregateError} (as a rejection) If no worker succeeds. Without workers, its `errors` are empty.
 * @throws {ScopeClosedError} (as a rejection) If `scope` has ended.
 * @throws {DeadlineExceededError} (as a rejection) If `timeout` has passed.
 * @throws {TypeError | RangeError} (as a rejection) If an argument is bad. Nothing was started.
 * @example
 * ```ts
 * const value = await withScope((scope) =>
 *   any(scope, [() => { throw new Error("mirror 1 is down"); }, async () => "from mirror 2"]),
 * );
 * console.log(value); // from mirror 2
 * ```
 */
export function any<const W extends readonly Worker<unknown>[]>(
  scope: Scope,
  workers: W,
  options?: CombinatorOptions,
): Promise<WorkerResult<W[number]>> {
  return runGroup("any", workers, options, () => new Any(scope, options, workers.length));
}

class Any<R> extends Group<R> {
  readonly #errors: unknown[] = [];
  #left: number;

  constructor(scope: Scope, options: CombinatorOptions | undefined, count: number) {
    super("any", callSite(any), scope, initialSupervisingGroup, options);
    this.#left = count;
  }

  override noWorkers(): void {
    this.#giveUp();
  }

  succeeded(value: unknown): void {
    if (this.decided) return;
    this.node.value = value;
    this.decide();
  }

  failed(error: unknown, index: number): void {
    this.#errors[index] = error;
    this.#left -= 1;
    if (this.#left === 0) this.#giveUp();
  }

  override ignoredFailures(): unknown[] {
    return this.#errors.filter(() => true); // without the holes
  }

  #giveUp(): void {
    this.decided = true;
    // Recursion without end would nest a thousand of these errors in each other.
    if (this.#errors.length > 0 && this.#errors.every(isStackOverflow))
      return fail(this.node, this.#errors[0]);
    const error = new AggregateError(this.#errors, "any: no worker succeeded");
    fail(this.node, detached(error));
  }
}
