import { checkType } from "../errors/validate.js";
import { setCheck } from "../kernel/integration-checks.js";
import type { Scope } from "../kernel/scope.js";
import { isClosed } from "../kernel/state.js";
import { nodeOf } from "../task/node-of.js";

/**
 * Calls `check` in every `throwIfCancelled` and `checkpoint` of `scope` and of everything below it. For authors of
 * integrations: a busy loop that no timer can interrupt then sees the end of a lease, as it sees its deadline.
 *
 * `check` is called on a hot path. It compares two numbers, and calls `cancelAs` when `scope` has to end. A
 * scope has one check: a second call replaces the first. A check that throws makes the `throwIfCancelled` throw.
 *
 * @param scope - The scope that `check` watches.
 * @param check - Called without arguments. When it is left out, the check is removed.
 * @throws {TypeError} If an argument is of the wrong type.
 * @example
 * ```ts
 * const scope = createScope({ name: "job" });
 * const leaseEnd = performance.now();
 * onCheck(scope, () => {
 *   if (performance.now() >= leaseEnd) cancelAs(scope, "disconnected");
 * });
 * try {
 *   scope.throwIfCancelled();
 * } catch (error) {
 *   console.log(isCancelled(error) && error.kind); // disconnected
 * }
 * ```
 */
export function onCheck(scope: Scope, check?: () => void): void {
  const node = nodeOf("onCheck", "scope", scope);
  checkType("onCheck", "check", "function", check);
  if (!isClosed(node)) setCheck(node, check);
}
