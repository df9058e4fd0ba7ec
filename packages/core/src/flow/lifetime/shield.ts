import { ScopeClosedError } from "../../errors/scope-errors.js";
import { CLOSED, QUEUED, SHIELD } from "../../kernel/state.js";
import { checkHeadroom } from "../../kernel/headroom.js";
import { ScopeNode } from "../../kernel/node.js";
import { createPromised } from "../../kernel/promised.js";
import { failToBegin, promiseFor } from "../../kernel/refusal.js";
import type { Scope } from "../../kernel/scope.js";
import { callSite } from "../../kernel/call-site.js";
import { optionNames } from "../../errors/option-names.js";
import { requireFunction, requireFiniteDuration, checkOptionsObject } from "../../errors/validate.js";
import { nodeOf } from "../../task/resolve.js";
import type { Worker } from "../../task/run.js";
import { startChild } from "../../task/start-child.js";

/** What {@link shield} takes. */
export interface ShieldOptions {
  /** Milliseconds from now that it may go on; finite. */
  readonly timeout: number;
}

const shieldOptionNames = optionNames<ShieldOptions>({ timeout: true });

/**
 * Runs `fn` in a scope that cancellation from outside does not reach: for the goodbye to a server, the flush of a
 * buffer, the end of a transaction. It works in a `defer`, too, of a scope that is closing or cancelled.
 *
 * Tasks spawned inside are shielded with it. Context values still come through `get`. The enclosing scope waits for
 * it, and the deadlines of the scopes around it don't hold inside: only `timeout` does.
 *
 * **Cancellation:** when `timeout` has passed since the call, the scope is cancelled: with the reason of `scope` if
 * that was cancelled, whenever that was, else with a `DeadlineExceededError`. `cancel()` from inside works as ever. With
 * `timeout: 0` the body is not called.
 *
 * **Failure:** goes to the caller alone, as with `withScope`.
 *
 * @param scope - The enclosing scope; anything but closed.
 * @param options - `timeout` in ms, more of a promise than a limit: nothing else stops the body.
 * @param fn - The body, called synchronously. Gets the shielded scope: pass on its `signal`, not that of `scope`.
 * @returns The body's value.
 * @throws {CancelledError} (as a rejection) If it ran out of time.
 * @throws {ScopeClosedError} (as a rejection) If `scope` is closed.
 * @throws {TypeError | RangeError} (as a rejection) If an argument is bad. Nothing was started.
 * @example
 * ```ts
 * const log: string[] = [];
 * await withScope({ timeout: 5 }, async (scope) => {
 *   scope.defer(() => shield(scope, { timeout: 1_000 }, async (own) => {
 *     await sleep(own, 5); // says goodbye
 *     log.push(scope.cancelled ? "cancelled, but polite" : "done");
 *   }));
 *   await sleep(scope, 60_000);
 * }).catch(() => undefined);
 * console.log(log[0]); // cancelled, but polite
 * ```
 */
export function shield<T>(scope: Scope, options: ShieldOptions, fn: Worker<T>): Promise<T> {
  try {
    const parent = nodeOf("shield", "scope", scope);
    const timeout = checkOptions(options);
    requireFunction("shield", "fn", fn);
    if ((parent.flags & CLOSED) !== 0) throw new ScopeClosedError("shield", parent.path);
    return enter(parent, timeout, fn);
  } catch (error) {
    return failToBegin(error);
  }
}

function enter<T>(parent: ScopeNode, timeout: number, fn: Worker<T>): Promise<T> {
  checkHeadroom();
  const node = new ScopeNode(parent, fn, QUEUED | SHIELD);
  const observer = createPromised<T>();
  node.observer = observer;
  startChild(node, { timeout }, callSite(shield), fn, "shield");
  return promiseFor(node, observer.promise);
}

function checkOptions(options: unknown): number {
  checkOptionsObject("shield", options, shieldOptionNames);
  const { timeout } = options as Partial<ShieldOptions>;
  requireFiniteDuration("shield", "timeout", timeout, ": nothing else can cancel the shielded work");
  return timeout as number;
}
