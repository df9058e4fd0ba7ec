import { expireEarly } from "../kernel/deadline.js";
import type { Scope } from "../kernel/scope.js";
import { nodeOf } from "../task/node-of.js";

/**
 * Lets the deadline of `scope` pass now. For authors of integrations: when another clock watches the same deadline and
 * is a few milliseconds ahead, the task still fails with its own `DeadlineExceededError`.
 *
 * It cancels the scope with the earliest deadline on the way from `scope` to the root, as if the timer of that
 * deadline had fired.
 *
 * @param scope - The scope whose deadline has passed.
 * @returns `true` if this call cancelled the scope with that deadline; `false` if there is none, or if it has already
 *   passed.
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
