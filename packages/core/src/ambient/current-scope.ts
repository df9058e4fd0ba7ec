import { requireFunction } from "../errors/validate.js";
import { AsyncLocalStorage } from "node:async_hooks";
import type { ScopeNode } from "../kernel/node.js";
import type { Scope } from "../kernel/scope.js";
import { nodeOf } from "../task/node-of.js";

/** Stores nodes only: a pending timer or promise reaction keeps its store alive, which must not keep an owner handle alive (rule 19). */
const storage = new AsyncLocalStorage<ScopeNode>();

/**
 * Returns the scope of the nearest {@link runWithScope} or {@link ambient} around the running code, or `undefined` if
 * there is none. The current scope follows the code through promises, timers and callbacks, as with any
 * `AsyncLocalStorage`.
 *
 * It is the view, never the owner handle, so storing it does not keep an owner alive. In a callback that outlives the
 * scope, the scope has ended, and `spawn` throws.
 *
 * **Plain `spawn` and `withScope` don't change it**: the worker gets its own scope as an argument, and the current
 * scope stays that of the code that called `spawn`.
 *
 * @returns A view of the scope.
 * @example
 * ```ts
 * async function save(): Promise<void> {
 *   const scope = currentScope() ?? background;
 *   await sleep(scope, 1);
 *   console.log(scope.path); // request
 * }
 * await withScope({ name: "request" }, (scope) => runWithScope(scope, save));
 * ```
 */
export function currentScope(): Scope | undefined {
  return storage.getStore();
}

/**
 * Calls `fn` with `scope` as the current one.
 *
 * @param scope - A view or an owner handle; only its view is remembered.
 * @param fn - Called once, synchronously. Work that it starts inherits the scope. Later code of its caller does not.
 * @returns What `fn` returns.
 * @throws {TypeError | BoughError} If `scope` is not a scope of this copy of the package.
 * @throws What `fn` throws.
 * @example
 * ```ts
 * await withScope({ name: "job" }, (scope) => {
 *   runWithScope(scope, () => console.log(currentScope()?.name)); // job
 *   console.log(currentScope()); // undefined
 * });
 * ```
 */
export function runWithScope<T>(scope: Scope, fn: () => T): T {
  const node = nodeOf("runWithScope", "scope", scope);
  requireFunction("runWithScope", "fn", fn);
  return storage.run(node, fn);
}
