import type { CancelledError } from "../../errors/cancelled.js";
import type { Scope } from "../../kernel/scope.js";
import { throwFailure } from "../../kernel/lifecycle.js";
import type { ScopeOptions } from "../../task/options.js";
import { nodeOf } from "../../task/resolve.js";
import type { Worker } from "../../task/run.js";
import { enterScope } from "../../task/with-scope.js";

/** What one run of a worker came to. */
export type Attempt<T> =
  | { readonly status: "succeeded"; readonly value: T }
  | { readonly status: "failed"; readonly error: unknown }
  /** By itself, and not by its time limit. */
  | { readonly status: "cancelled"; readonly reason: CancelledError };

/**
 * Runs `worker` once, in a scope of its own.
 *
 * @param site - Where the public function was called that makes the attempt.
 * @throws What it failed with, or the reason, when `scope` is cancelled: then it is no longer an attempt's affair.
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
    return { status: "failed", error };
  }
}
