import { optionNames } from "../../errors/option-names.js";
import { checkInstant, requireFunction, wrongType } from "../../errors/validate.js";
import { callSite } from "../../kernel/call-site.js";
import type { ScopeNode } from "../../kernel/node.js";
import { withResolvers } from "../../kernel/observer.js";
import {
  rejectBeforeStart,
  hasExceededOwnTimeout,
  throttleIfStartedCancelled,
} from "../../kernel/throttled-results.js";
import type { Scope } from "../../kernel/scope.js";
import { initialScope } from "../../kernel/state.js";
import { makeLiveChild, startChild } from "../../task/child.js";
import { nodeOf } from "../../task/node-of.js";
import type { Worker } from "../../task/worker.js";
import { checkCombinatorOptions, type CombinatorOptions } from "../combinators/combinator-options.js";

/** The options of {@link moveOnAfter}: at least one of `timeout` and `deadline`. If both are given, the earlier one counts. */
export interface MoveOnAfterOptions {
  /** The name of the scope. Default: the name of the worker function, or `"anonymous"`. */
  readonly name?: string | undefined;
  /** How long the worker may run, in milliseconds from the call. Default: no limit, if there is a `deadline`. */
  readonly timeout?: number | undefined;
  /**
   * The instant until which the worker may run, as a `Date` or in milliseconds since the epoch. Default: none, if there is a
   * `timeout`.
   */
  readonly deadline?: number | Date | undefined;
}

const moveOnAfterOptionNames = /* @__PURE__ */ optionNames<MoveOnAfterOptions>({
  timeout: true,
  deadline: true,
  name: true,
});

/**
 * Runs `worker` in a scope with a time limit, and resolves with its value, or with `undefined` if it did not finish in
 * time.
 *
 * As Trio's `move_on_after` and Kotlin's `withTimeoutOrNull`. Use it where you can continue without a result: a cache,
 * a suggestion, a best-effort flush. If a timeout is an error, use `withScope(scope, { timeout }, worker)`.
 *
 * **Cancellation:** when the time is up, the worker and everything it started are cancelled. The promise resolves once all of
 * it has settled: with the worker's value if it returned one nevertheless, otherwise with `undefined`. Any other cancellation
 * rejects with its reason, also that of a deadline of `scope` which is not later. With `timeout: 0` the worker is not called.
 *
 * **Failure:** a failure of the worker or of its tasks rejects the promise, also after the time was up. Only the caller
 * receives it.
 *
 * @param scope - The enclosing scope.
 * @param options - `timeout` in ms, or `deadline`; and `name`.
 * @param worker - Called once, synchronously, with a new scope.
 * @returns The worker's value, or `undefined`. If the worker itself may return `undefined`, the caller can't tell the
 *   two cases apart.
 * @throws {CancelledError} (as a rejection) The reason, if the worker was cancelled for another cause than the time
 *   limit.
 * @throws {ScopeClosedError} (as a rejection) If `scope` has ended.
 * @throws {TypeError | RangeError} (as a rejection) If an argument is bad. Nothing was started.
 * @example
 * ```ts
 * await withScope(async (scope) => {
 *   const rates = await moveOnAfter(scope, { timeout: 5 }, async (own) => {
 *     await sleep(own, 60_000); // a slow service
 *     return { eur: 1.08 };
 *   });
 *   console.log(rates?.eur ?? "no rates today"); // no rates today
 * });
 * ```
 */
export function moveOnAfter<T>(
  scope: Scope,
  options: MoveOnAfterOptions & ({ readonly timeout: number } | { readonly deadline: number | Date }),
  worker: Worker<T>,
): Promise<T | undefined> {
  try {
    const parent = nodeOf("moveOnAfter", "scope", scope);
    checkMoveOnAfterOptions(options);
    requireFunction("moveOnAfter", "worker", worker);
    return enter(parent, options, worker);
  } catch (error) {
    return rejectBeforeStart(error);
  }
}

function enter<T>(
  parent: ScopeNode,
  { name, timeout, deadline }: MoveOnAfterOptions,
  worker: Worker<T>,
): Promise<T | undefined> {
  const node = makeLiveChild("moveOnAfter", parent, name ?? worker, initialScope);
  const { promise, resolve, reject } = withResolvers<T | undefined>();
  node.observer = {
    promise,
    resolve,
    reject: (error) => {
      const ranOutOfTime = node.extras?.errors === undefined && hasExceededOwnTimeout(node);
      if (ranOutOfTime) resolve(undefined);
      else reject(error);
    },
  };
  startChild(node, worker, { timeout, deadline }, callSite(moveOnAfter), "moveOnAfter");
  return throttleIfStartedCancelled(node, promise);
}

function checkMoveOnAfterOptions(options: unknown): asserts options is MoveOnAfterOptions {
  checkCombinatorOptions("moveOnAfter", options as CombinatorOptions, moveOnAfterOptionNames);
  const { timeout, deadline } = options as Partial<MoveOnAfterOptions>;
  checkInstant("moveOnAfter", "deadline", deadline);
  if (timeout === undefined && deadline === undefined)
    throw wrongType("moveOnAfter", "options must have a timeout or a deadline", options);
}
