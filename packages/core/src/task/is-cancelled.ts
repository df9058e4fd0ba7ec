import { isCancelled as isCancelledAnywhere, type CancelledError } from "../errors/cancelled.js";
import type { Scope } from "../kernel/scope.js";
import { nodeOf } from "./node-of.js";

/**
 * Returns whether `error` is a cancellation of bough; with a scope, whether it is the cancellation of that scope.
 *
 * In a `catch`, pass the scope that the work runs in. Otherwise the timeout of an inner call, or the cancellation of
 * another task, looks like your own cancellation.
 *
 * It recognises the reason itself. The error with which a client rejects after an abort, such as axios'
 * `CanceledError`, is not a `CancelledError`. Read `scope.cancelled` to know whether your scope is cancelled.
 *
 * @param error - Any value, typically the one that a `catch` received.
 * @param scope - The scope in question. Its cancellation is its own or that of an ancestor.
 * @returns `true` for a {@link CancelledError}, `DeadlineExceededError` included, of this copy of the package or of
 *   another one; with `scope`, for its `reason` only.
 * @throws {TypeError} If `scope` is given and is not a scope.
 * @example
 * ```ts
 * await withScope({ name: "request" }, async (scope) => {
 *   try {
 *     await withScope(scope, { name: "upstream", timeout: 5 }, (own) => sleep(own, 60_000));
 *   } catch (error) {
 *     console.log(isCancelled(error), isCancelled(error, scope)); // true false: the request goes on
 *   }
 * });
 * ```
 */
export function isCancelled(error: unknown, scope?: Scope): error is CancelledError {
  if (scope === undefined) return isCancelledAnywhere(error);
  const { reason } = nodeOf("isCancelled", "scope", scope);
  return reason !== undefined && error === reason;
}
