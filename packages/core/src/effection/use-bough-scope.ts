import { resource, spawn, until, type Operation } from "effection";
import { callSite } from "../kernel/call-site.js";
import type { ScopeNode } from "../kernel/node.js";
import type { Scope } from "../kernel/scope.js";
import { background } from "../task/background.js";
import { openScope } from "../task/create-scope.js";
import { boughScope } from "./run-operation.js";
import { checkOptions, scopeOptionNames, type ScopeOptions } from "../task/options.js";
import { nodeOf } from "../task/resolve.js";

/**
 * An Effection resource: a bough scope with the lifetime of the operation that requests it.
 *
 * It is a child of the bough scope that the operation runs in. Without one it is a root.
 *
 * **Cancellation:** when the operation ends, fails or is halted, the scope is closed, and Effection waits for all that
 * was started in it. When a bough scope above is cancelled, this one has its reason at once, before any `finally` block
 * of the operation runs. A scope that is cancelled by itself, or by its own `timeout`, leaves the operation alone.
 *
 * **Failure:** a failure in the scope is raised in the operation that asked for it, once everything in the scope has
 * settled, and is the same object. One that comes up while the scope is being closed fails the tear-down.
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
  checkOptions("useBoughScope", options, scopeOptionNames);
  const site = callSite(useBoughScope);
  return resource(function* (provide) {
    const parent = yield* boughScope.get();
    const handle = openScope(nodeOf("useBoughScope", "parent", parent ?? background), options, site);
    let ending = false;
    const failed = new Promise<never>((_, reject) => {
      // Asked for at once: a failure that a closing call receives is not the parent's.
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
      ending = true; // throwing it again would end the steps that follow
      yield* until(handle.close());
    }
  });
}
