import { outOfRange } from "../../errors/validate.js";
import { initialSupervisingGroup } from "../../kernel/state.js";
import type { Scope } from "../../kernel/scope.js";
import { callSite } from "../../kernel/call-site.js";
import { fail } from "../../kernel/lifecycle.js";
import type { Worker } from "../../task/worker.js";
import type { CombinatorOptions } from "./combinator-options.js";
import { Group, runGroup, type WorkerResult } from "./group.js";

/**
 * Runs `workers` concurrently and settles as the first that settles, once the others have settled too.
 *
 * If a worker settles while the workers are being started, the workers after it are not called.
 *
 * **Failure:** if the first worker to settle has failed, the promise rejects with its error. If a loser fails afterwards,
 * in its cleanup, the promise rejects with the first failure, and the others are in `suppressed(error)`. Only the caller
 * receives the failure.
 *
 * **Cancellation:** losers are cancelled with kind `"closed"`. `race` waits for them, so a loser that ignores its signal
 * delays it. When `scope` is cancelled before a worker has settled, so are the workers, and the promise rejects with the
 * reason. If `scope` is already cancelled, no worker is called.
 *
 * @param scope - The owner of the workers.
 * @param workers - One or more functions, called synchronously, in order. The values of losers are discarded, so a worker
 *   must release the resources that it acquires.
 * @param options - `name`, and `timeout` in ms: how long the whole call may take.
 * @returns The winner's value.
 * @throws {RangeError} (as a rejection) If there are no workers.
 * @throws {ScopeClosedError} (as a rejection) If `scope` has ended.
 * @throws {DeadlineExceededError} (as a rejection) If `timeout` has passed.
 * @throws {TypeError | RangeError} (as a rejection) If an argument is bad. Nothing was started.
 * @example
 * ```ts
 * const winner = await withScope((scope) =>
 *   race(scope, [
 *     async (own) => { await sleep(own, 1); return "fast"; },
 *     async (own) => { await sleep(own, 60_000); return "slow"; },
 *   ]),
 * );
 * console.log(winner); // fast
 * ```
 */
export function race<const W extends readonly Worker<unknown>[]>(
  scope: Scope,
  workers: W,
  options?: CombinatorOptions,
): Promise<WorkerResult<W[number]>> {
  if (Array.isArray(workers) && workers.length === 0) {
    return Promise.reject(outOfRange("race", "workers must not be empty", workers));
  }
  return runGroup("race", workers, options, () => new Race(scope, options));
}

class Race<R> extends Group<R> {
  constructor(scope: Scope, options: CombinatorOptions | undefined) {
    super("race", callSite(race), scope, initialSupervisingGroup, options);
  }

  succeeded(value: unknown): void {
    if (this.decided) return;
    this.node.value = value;
    this.decide();
  }

  failed(error: unknown): void {
    this.decide();
    fail(this.node, error);
  }
}
