import { refuseOptions } from "../errors/validate.js";
import { suspend, useScope, type Scope as EffectionScope } from "effection";
import { attach } from "../flow/lifetime/attach.js";
import { callSite } from "../kernel/call-site.js";
import { withResolvers } from "../kernel/observer.js";
import { rejectBeforeStart, markHandled } from "../kernel/throttled-results.js";
import type { Scope } from "../kernel/scope.js";

/**
 * Creates an Effection scope inside a bough scope, so that plain code can `run` operations in it.
 *
 * Like a daemon, it does not keep `scope` open while operations run in it. The operations find the bough scope, and so
 * the reason of a cancellation, in the Effection context `boughScope`.
 *
 * **Cancellation:** the operations are halted when `scope` is cancelled, or when all other work in it has ended.
 * `scope` waits for that. From then on `run` and `spawn` throw the reason. Without bough, Effection would start work
 * that has no owner.
 *
 * **Failure:** an operation that fails halts the others, and its error, the same object, is the failure of `scope`,
 * even if the operation's task is awaited. To handle an error, catch it in the operation. Without bough, Effection
 * would lose it. If a tear-down has two errors, Effection keeps only the later one.
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
    const node = attach("effectionScope", scope, callSite(effectionScope), function* (own) {
      resolve(guarded(own, yield* useScope()));
      yield* suspend();
    });
    // When an Effection operation calls this, the generator above starts later, or never if `scope` is cancelled first.
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
