import type { CancelledError } from "../../errors/cancelled.js";
import { recordFailedRun } from "../../kernel/survived-failures.js";
import type { Scope } from "../../kernel/scope.js";
import { throwFailure } from "../../kernel/lifecycle.js";
import type { ScopeOptions } from "../../task/options.js";
import { nodeOf } from "../../task/node-of.js";
import type { Worker } from "../../task/worker.js";
import { enterScope } from "../../task/with-scope.js";

/** The outcome of one run of a worker. */
export type Attempt<T> =
  | { readonly status: "succeeded"; readonly value: T }
  | { readonly status: "failed"; readonly error: unknown }
  /** The worker cancelled its own scope. Exceeding the time limit is a failure. */
  | { readonly status: "cancelled"; readonly reason: CancelledError };

/**
 * Runs `worker` once, in its own scope.
 *
 * @param site - The call site of the public function that makes the attempt.
 * @returns The outcome. A failure of the worker does not reject.
 * @throws The failure of the worker, or the reason, if `scope` is cancelled.
 */
export async function attempt<T>(
  scope: Scope,
  options: ScopeOptions,
  worker: Worker<T>,
  site: string | undefined,
): Promise<Attempt<T>> {
  let own: Scope | undefined;
  try {
    const parent = nodeOf("withScope", "parent", scope);
    const body: Worker<T> = (entered) => {
      own = entered;
      return worker(entered);
    };
    const value = await enterScope("attempt", parent, options, body, site);
    return { status: "succeeded", value };
  } catch (error) {
    const reason = own?.reason;
    const cancelledItself = reason !== undefined && reason === error && reason.kind !== "deadline";
    if (scope.cancelled) {
      if (cancelledItself) throw error;
      throwFailure(nodeOf("attempt", "scope", scope), error);
    }
    if (cancelledItself) return { status: "cancelled", reason };
    recordFailedRun(nodeOf("attempt", "scope", scope), error);
    return { status: "failed", error };
  }
}
