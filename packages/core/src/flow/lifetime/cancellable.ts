import type { CancelledError } from "../../errors/cancelled.js";
import { isThenable } from "../../errors/user-values.js";
import { requireFunction } from "../../errors/validate.js";
import { callSite } from "../../kernel/call-site.js";
import { fail, throwFailure } from "../../kernel/lifecycle.js";
import { nameOf } from "../../kernel/name.js";
import type { ScopeNode } from "../../kernel/node.js";
import { rejectBeforeStart } from "../../kernel/throttled-results.js";
import type { Scope } from "../../kernel/scope.js";
import { nodeOf } from "../../task/node-of.js";
import { enterScope } from "../../task/with-scope.js";
import { checkCombinatorOptions, type CombinatorOptions } from "../combinators/combinator-options.js";

/** The options of {@link cancellable}. */
export interface CancellableOptions extends CombinatorOptions {
  /** The name of the scope in which the operation runs. Default: the name of `start`, or `"cancellable"`. */
  readonly name?: string | undefined;
  /** Milliseconds after which the operation is stopped. 0 starts nothing. Default: no limit. */
  readonly timeout?: number | undefined;
}

/**
 * Starts an operation that takes no signal, and stops it when `scope` is cancelled.
 *
 * Use it for a client whose operations are cancelled by another call: a database query, a job of a queue, a child process.
 *
 * **Cancellation:** `stop` is called once, synchronously within the cancellation, and then the promise waits until the
 * operation has ended. If the operation still gives a value, that is kept. If it rejects, with any error, the promise
 * rejects with the reason of the cancellation, because the error follows from `stop`. If `scope` is already
 * cancelled, `start` is not called. An operation that ignores `stop` keeps `scope` from settling, and is reported
 * when a `grace` runs out.
 *
 * **Failure:** if the operation rejects without having been stopped, the promise rejects with that error, the same object. If
 * `stop` throws or rejects, the promise rejects with that once the operation has ended. Only the caller receives it.
 *
 * @param scope - The owner of the operation. It does not settle before the operation has ended.
 * @param start - Starts the operation. Called once, synchronously.
 * @param stop - Asks the operation to stop. Called with the result of `start` and the reason. A promise that it returns
 *   is awaited. The operation may have ended just before the call, so `stop` must not stop another operation by
 *   mistake.
 * @param options - `name`, and `timeout` in ms.
 * @returns The value of the operation.
 * @throws {CancelledError} (as a rejection) The reason, if the operation was stopped.
 * @throws {ScopeClosedError} (as a rejection) If `scope` has ended.
 * @throws {TypeError | RangeError} (as a rejection) If an argument is bad. Nothing was started.
 * @example
 * ```ts
 * class Query {
 *   #reject!: (error: Error) => void;
 *   readonly rows = new Promise<string[]>((_, reject) => (this.#reject = reject));
 *   cancel(): void {
 *     this.#reject(new Error("canceling statement due to user request"));
 *   }
 * }
 * await withScope({ timeout: 5 }, async (scope) => {
 *   const query = new Query();
 *   await cancellable(scope, () => query.rows, () => query.cancel());
 * }).catch((error: unknown) => console.log(String(error))); // TimeoutError: timed out after 5 ms
 * ```
 */
export function cancellable<R>(
  scope: Scope,
  start: () => R,
  stop: (operation: R, reason: CancelledError) => unknown,
  options: CancellableOptions = {},
): Promise<Awaited<R>> {
  try {
    const parent = nodeOf("cancellable", "scope", scope);
    requireFunction("cancellable", "start", start);
    requireFunction("cancellable", "stop", stop);
    checkCombinatorOptions("cancellable", options);
    const { name = nameOf(start), timeout } = options;
    const body = (own: Scope): Promise<Awaited<R>> => run(own as ScopeNode, start, stop);
    const scopeOptions = { name: name === "anonymous" ? "cancellable" : name, timeout };
    return enterScope("cancellable", parent, scopeOptions, body, callSite(cancellable));
  } catch (error) {
    return rejectBeforeStart(error);
  }
}

async function run<R>(
  own: ScopeNode,
  start: () => R,
  stop: (operation: R, reason: CancelledError) => unknown,
): Promise<Awaited<R>> {
  const operation = start();
  if (!isThenable(operation)) return operation as Awaited<R>;
  /** Set once `stop` was called. Never rejects. */
  let stopping: Promise<void> | undefined;
  const forget = own.onCancel((reason) => {
    stopping = Promise.resolve(); // also if `stop` throws, which fails the scope
    stopping = ending(own, stop(operation, reason));
  });
  try {
    return await operation;
  } catch (error) {
    if (stopping !== undefined) throw own.reason;
    forget(); // before the failure cancels the scope
    return throwFailure(own, error);
  } finally {
    forget();
    await stopping;
  }
}

async function ending(own: ScopeNode, stopped: unknown): Promise<void> {
  try {
    await stopped;
  } catch (error) {
    fail(own, error);
  }
}
