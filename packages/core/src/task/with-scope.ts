import { requireFunction } from "../errors/validate.js";
import type { ScopeKind } from "../kernel/scope-kind.js";
import { initialScope } from "../kernel/state.js";
import type { ScopeNode } from "../kernel/node.js";
import { backgroundNode } from "../kernel/scope-view.js";
import { withResolvers } from "../kernel/observer.js";
import { rejectBeforeStart, throttleIfStartedCancelled } from "../kernel/throttled-results.js";
import type { Scope } from "../kernel/scope.js";
import { callSite } from "../kernel/call-site.js";
import { makeLiveChild, startChild } from "./child.js";
import { checkOptions, withScopeOptionNames, type ScopeOptions } from "./options.js";
import { isScope, nodeOf } from "./node-of.js";
import type { Worker } from "./worker.js";

/**
 * Runs `body` in a new scope, and resolves with its value when everything started in that scope has settled.
 *
 * **Failure:** if the body or a child fails, the rest is cancelled (kind `"failure"`), waited for, and the
 * promise rejects with that failure, the same object. It goes to the caller only and not to a parent,
 * so this is how to handle an error locally.
 *
 * **Cancellation:** if a cancellation ends the body or a child before it has returned a value, the promise rejects with
 * the reason. In a parent that is cancelled already, the body is not called.
 *
 * **Without a parent this makes a ROOT**, also when it is called inside a worker: cancelling that worker's scope
 * does not cancel it. Pass the scope to stay in the tree.
 *
 * @param parent - The scope it belongs to; without it, a root.
 * @param options - Name, deadline, limits; `timeout` and `grace` in ms.
 * @param body - Gets the new scope. Called once, synchronously.
 * @returns The body's value.
 * @throws {ScopeClosedError} (as a rejection) If `parent` has ended.
 * @throws {TypeError | RangeError} (as a rejection) If an argument is bad. Nothing was started.
 * @example
 * ```ts
 * const value = await withScope({ name: "job", timeout: 1_000 }, async (scope) => {
 *   const part = spawn(scope, async () => 20);
 *   return (await part) + 22;
 * });
 * console.log(value); // 42
 * ```
 */
export function withScope<T>(body: Worker<T>): Promise<T>;
export function withScope<T>(options: ScopeOptions, body: Worker<T>): Promise<T>;
export function withScope<T>(parent: Scope, body: Worker<T>): Promise<T>;
export function withScope<T>(parent: Scope, options: ScopeOptions, body: Worker<T>): Promise<T>;
export function withScope<T>(...given: readonly unknown[]): Promise<T> {
  try {
    const { parent, options, body } = parse<T>(given);
    return enterScope("withScope", parent, options, body, callSite(withScope));
  } catch (error) {
    return rejectBeforeStart(error);
  }
}

/**
 * `withScope` for other public functions; `site` is their call site, and the diagnostics channels name `kind`. Throws instead of
 * rejecting if nothing was started.
 */
export function enterScope<T>(
  kind: ScopeKind,
  parent: ScopeNode,
  options: ScopeOptions | undefined,
  body: Worker<T>,
  site: string | undefined,
): Promise<T> {
  const node = makeLiveChild("withScope", parent, options?.name ?? body, initialScope);
  const observer = withResolvers<T>();
  node.observer = observer;
  startChild(node, body, options, site, kind);
  return throttleIfStartedCancelled(node, observer.promise);
}

interface Arguments<T> {
  readonly parent: ScopeNode;
  readonly options: ScopeOptions | undefined;
  readonly body: Worker<T>;
}

function parse<T>(given: readonly unknown[]): Arguments<T> {
  const parameters = [...given];
  const body = parameters.pop();
  requireFunction("withScope", "body", body);
  if (parameters.length > 2)
    throw new TypeError(`withScope: pass (parent, options, body), not ${given.length} arguments`);
  // Of two values before the body, the first must be a scope. A single value may be either, but not undefined: a parent
  // that is missing by mistake must not result in a root.
  const hasParent = parameters.length === 2 || isScope(parameters[0]);
  const parent = hasParent ? nodeOf("withScope", "parent", parameters[0] as Scope) : backgroundNode;
  const options = parameters[hasParent ? 1 : 0] as ScopeOptions | undefined;
  if (options !== undefined || (parameters.length === 1 && !hasParent))
    checkOptions("withScope", options, withScopeOptionNames);
  return { parent, options, body: body as Worker<T> };
}
