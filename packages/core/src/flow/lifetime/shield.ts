import { initialShield } from "../../kernel/state.js";
import type { ScopeNode } from "../../kernel/node.js";
import { withResolvers } from "../../kernel/observer.js";
import { rejectBeforeStart, throttleIfStartedCancelled } from "../../kernel/throttled-results.js";
import type { Scope } from "../../kernel/scope.js";
import { callSite } from "../../kernel/call-site.js";
import {
  checkOptionsObject,
  checkType,
  requireFiniteDuration,
  requireFunction,
} from "../../errors/validate.js";
import { makeChild, startChild } from "../../task/child.js";
import { nodeOf } from "../../task/node-of.js";
import type { Worker } from "../../task/worker.js";
import { combinatorOptionNames } from "../combinators/combinator-options.js";

/** The options of {@link shield}. */
export interface ShieldOptions {
  /** The name of the scope. Default: the name of the worker function, or `"anonymous"`. */
  readonly name?: string | undefined;
  /** How long the worker may run, in milliseconds from the call; finite. Required. */
  readonly timeout: number;
}

/**
 * Runs `worker` in a scope that is not cancelled with the scopes around it, until a time limit.
 *
 * Use it to log out of a server, to flush a buffer, or to end a transaction. It also works in a `defer` of a scope that is
 * closing or cancelled. Tasks spawned inside are shielded too. `get` still finds the context values of the scopes around it. The
 * enclosing scope waits for it. The deadlines of the scopes around it do not apply inside: only `timeout` does.
 *
 * **Cancellation:** when `timeout` has passed since the call, the scope is cancelled: with the reason of `scope` if that
 * has been cancelled, otherwise with a `DeadlineExceededError`. `cancel()` from inside works as usual. With `timeout: 0`
 * the worker is not called.
 *
 * **Failure:** only the caller receives it, as with `withScope`.
 *
 * @param scope - The enclosing scope. Must not be closed.
 * @param options - `timeout` in ms. Only `timeout` stops the worker: it is the longest time that the enclosing scope
 *   may have to wait.
 * @param worker - Called synchronously with the shielded scope. Pass on the `signal` of the shielded scope, not that
 *   of `scope`.
 * @returns The worker's value.
 * @throws {CancelledError} (as a rejection) If `timeout` has passed.
 * @throws {ScopeClosedError} (as a rejection) If `scope` is closed.
 * @throws {TypeError | RangeError} (as a rejection) If an argument is bad. Nothing was started.
 * @example
 * ```ts
 * const log: string[] = [];
 * await withScope({ timeout: 5 }, async (scope) => {
 *   scope.defer(() => shield(scope, { timeout: 1_000 }, async (own) => {
 *     await sleep(own, 5); // logs out
 *     log.push(scope.cancelled ? "cancelled, but logged out" : "done");
 *   }));
 *   await sleep(scope, 60_000);
 * }).catch(() => undefined);
 * console.log(log[0]); // cancelled, but logged out
 * ```
 */
export function shield<T>(scope: Scope, options: ShieldOptions, worker: Worker<T>): Promise<T> {
  try {
    const parent = nodeOf("shield", "scope", scope);
    checkShieldOptions(options);
    requireFunction("shield", "worker", worker);
    return enter(parent, options, worker);
  } catch (error) {
    return rejectBeforeStart(error);
  }
}

function enter<T>(parent: ScopeNode, { name, timeout }: ShieldOptions, worker: Worker<T>): Promise<T> {
  const node = makeChild("shield", parent, name ?? worker, initialShield);
  const observer = withResolvers<T>();
  node.observer = observer;
  startChild(node, worker, { timeout }, callSite(shield), "shield");
  return throttleIfStartedCancelled(node, observer.promise);
}

function checkShieldOptions(options: unknown): asserts options is ShieldOptions {
  checkOptionsObject("shield", options, combinatorOptionNames);
  const { name, timeout } = options as Partial<ShieldOptions>;
  checkType("shield", "name", "string", name);
  requireFiniteDuration("shield", "timeout", timeout, ": nothing else can cancel the shielded work");
}
