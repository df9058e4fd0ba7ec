import { refuseOptions } from "../errors/validate.js";
import { suspend, useScope, type Scope as EffectionScope } from "effection";
import { attach } from "../flow/lifetime/attach.js";
import { callSite } from "../kernel/call-site.js";
import { withResolvers } from "../kernel/observer.js";
import { rejectBeforeStart, markHandled } from "../kernel/immediate-results.js";
import type { Scope } from "../kernel/scope.js";

/**
 * Makes an Effection scope below a bough one, to `run` operations in it from plain code.
 *
 * It belongs to `scope` as a daemon does: operations that run in it do not keep `scope` from ending. They find the
 * bough scope, and so the reason of their end, in the context `boughScope`.
 *
 * **Cancellation:** when `scope` is cancelled, or everything else in it has ended, the operations are halted, and
 * `scope` waits for that. From then on `run` and `spawn` throw the reason. Effection alone would start work without
 * an owner.
 *
 * **Failure:** an operation that fails halts the others, and its error, the same object, is the failure of `scope`,
 * even if the operation's task is awaited. To handle an error, catch it in the operation. Effection alone loses it.
 * Of two errors of a tear-down, Effection keeps only the later one.
 *
 * @param scope - The owner.
 * @returns The scope. It ends with `scope`. For a shorter life, make a child of `scope` first.
 * @throws {CancelledError} (as a rejection) The reason of `scope`.
 * @throws {ScopeClosedError} (as a rejection) If `scope` has ended.
 * @throws {TypeError} (as a rejection) If `scope` is not a scope.
 * @example
 * ```ts
 * import { withScope } from "bough";
 * import { effectionScope } from "bough/effection";
 * import { sleep } from "effection";
 *
 * await withScope(async (scope) => {
 *   const inner = await effectionScope(scope);
 *   const answer = await inner.run(function* () {
 *     yield* sleep(1);
 *     return 42;
 *   });
 *   console.log(answer); // 42
 * });
 * ```
 */
export function effectionScope(scope: Scope): Promise<EffectionScope>;
export function effectionScope(scope: Scope, extra?: unknown): Promise<EffectionScope> {
  try {
    refuseOptions("effectionScope", extra);
    const { promise, resolve, reject } = withResolvers<EffectionScope>();
    const node = attach("effectionScope", callSite(effectionScope), scope, function* (own) {
      resolve(guarded(own, yield* useScope()));
      yield* suspend();
    });
    // Inside an operation of Effection's, the above begins a little later: perhaps never.
    node.onCancel((reason) => {
      reject(reason);
      markHandled(promise);
    });
    return promise;
  } catch (error) {
    return rejectBeforeStart(error);
  }
}

/** As `inner`, but starts nothing in a scope that has ended. */
function guarded(own: Scope, inner: EffectionScope): EffectionScope {
  const guard = <A extends unknown[], R>(start: (...given: A) => R) => ({
    value: (...given: A): R => {
      if (own.reason !== undefined) throw own.reason;
      return start(...given);
    },
  });
  return Object.create(inner, {
    run: guard(inner.run.bind(inner)),
    spawn: guard(inner.spawn.bind(inner)),
  }) as EffectionScope;
}
