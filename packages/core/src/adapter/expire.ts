import { expireEarly } from "../kernel/deadline.js";
import type { Scope } from "../kernel/scope.js";
import { nodeOf } from "../task/resolve.js";

/**
 * Lets the deadline of `scope` pass now. For authors of integrations: where two clocks watch one deadline, the other one
 * may be first by a few milliseconds, and the task still fails with its own `DeadlineExceededError`.
 *
 * The scope that is cancelled is the one whose deadline is the earliest on the way from `scope` to the root, just as if
 * its timer had fired.
 *
 * @param scope - The scope whose deadline has passed.
 * @returns `true` if this call cancelled the scope with that deadline; `false` if there is no deadline, or if it has
 *   passed already.
 * @throws {TypeError} If `scope` is not a scope.
 * @example
 * ```ts
 * const outcome = await withScope({ timeout: 60_000 }, async (scope) => {
 *   expire(scope);
 *   await sleep(scope, 1);
 * }).catch((error: unknown) => error);
 * console.log(outcome instanceof DeadlineExceededError); // true
 * ```
 */
export function expire(scope: Scope): boolean {
  return expireEarly(nodeOf("expire", "scope", scope));
}
