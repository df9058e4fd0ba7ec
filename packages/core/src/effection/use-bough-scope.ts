import { resource, spawn, until, type Operation } from "effection";
import { callSite } from "../kernel/call-site.js";
import type { ScopeNode } from "../kernel/node.js";
import type { Scope } from "../kernel/scope.js";
import { background } from "../task/background.js";
import { openScope } from "../task/create-scope.js";
import { boughScope } from "./run-operation.js";
import type { ScopeOptions } from "../task/options.js";
import { checkScopeOptions } from "../task/handle-options.js";
import { nodeOf } from "../task/node-of.js";

/**
 * An Effection resource: a bough scope with the lifetime of the operation that requests it.
 *
 * It is a child of the bough scope that the operation runs in. Without one it is a root.
 *
 * **Cancellation:** when the operation ends, fails or is halted, the scope is closed, and Effection waits for everything
 * that was started in it. When a bough scope above is cancelled, this scope is cancelled with the same reason, before any
 * `finally` block of the operation runs. Cancelling only this scope, also by its `timeout`, does not halt the operation.
 *
 * **Failure:** a failure in the scope is thrown in the operation that requested the scope, once everything in the scope has
 * settled. It is the same object. If a failure happens while the scope is being closed, the tear-down fails with it.
 *
 * @param options - As for `createScope`; `timeout` and `grace` in ms.
 * @returns The operation; its value is the scope.
 * @throws {TypeError | RangeError} If an option is bad.
 * @example
 * ```ts
 * import { sleep, spawn } from "bough";
 * import { useBoughScope } from "bough/effection";
 * import { run, until } from "effection";
 *
 * const answer = await run(function* () {
 *   const scope = yield* useBoughScope({ name: "helpers" });
 *   spawn(scope, (task) => sleep(task, 60_000)); // is cancelled, and awaited, at the end of the operation
 *   return yield* until(spawn(scope, async () => 42));
 * });
 * console.log(answer); // 42
 * ```
 */
export function useBoughScope(options: ScopeOptions = {}): Operation<Scope> {
  checkScopeOptions("useBoughScope", options);
  const site = callSite(useBoughScope);
  return resource(function* (provide) {
    const parent = yield* boughScope.get();
    const handle = openScope(nodeOf("useBoughScope", "parent", parent ?? background), options, site);
    let ending = false;
    const failed = new Promise<never>((_, reject) => {
      // Called at once: the parent does not receive a failure that a call of `close` receives.
      handle.onCancel(() => {
        if (!ending) handle.close().catch(reject);
      });
    });
    failed.catch(() => undefined);
    yield* spawn(() => until(failed));
    try {
      const node: ScopeNode = nodeOf("useBoughScope", "scope", handle);
      yield* provide(node);
    } finally {
      ending = true; // otherwise `failed` would throw the failure, too, and end the steps that follow
      yield* until(handle.close());
    }
  });
}
