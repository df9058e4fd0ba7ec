import { outOfRange } from "../../errors/validate.js";
import { BODY, SUPERVISE } from "../../kernel/state.js";
import type { Scope } from "../../kernel/scope.js";
import { callSite } from "../../kernel/call-site.js";
import { fail } from "../../kernel/lifecycle.js";
import type { Worker } from "../../task/run.js";
import { Group, runGroup, type WorkerResult } from "./group.js";

/**
 * Runs `workers` at once and settles as the first of them that settles does, once the others are through with
 * their clean-up.
 *
 * A worker that settles while the workers are being started decides the race: those after it are never called.
 *
 * **Failure:** if the first to settle has failed, the promise rejects with its error. A loser that fails
 * afterwards, in its clean-up, makes the promise reject, too: with the first failure there is, the others in
 * `suppressed(error)`. The failure goes to the caller alone.
 *
 * **Cancellation:** losers are cancelled with kind `"closed"`; `race` waits for them, so a loser that ignores its
 * signal holds it up. When `scope` is cancelled before there is a winner, so are the workers, and the promise
 * rejects with the reason. In a scope that is cancelled already no worker is called.
 *
 * @param scope - The owner of the workers.
 * @param workers - One or more functions. What a loser returns is dropped, so release inside the worker what it
 *   acquires.
 * @returns The winner's value.
 * @throws {RangeError} (as a rejection) If there are no workers: nobody could win.
 * @throws {ScopeClosedError} (as a rejection) If `scope` has ended.
 * @throws {TypeError} (as a rejection) If an argument is of the wrong type. Nothing was started.
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
): Promise<WorkerResult<W[number]>> {
  if (Array.isArray(workers) && workers.length === 0) {
    return Promise.reject(outOfRange("race", "workers must not be empty", workers));
  }
  return runGroup("race", workers, () => new Race(scope));
}

class Race<R> extends Group<R> {
  constructor(scope: Scope) {
    super("race", callSite(race), scope, BODY | SUPERVISE);
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
