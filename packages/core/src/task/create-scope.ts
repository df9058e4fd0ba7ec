import { publishOpen } from "../kernel/diagnostics.js";
import { initialHandle, isClosed } from "../kernel/state.js";
import type { ScopeNode } from "../kernel/node.js";
import { backgroundNode } from "../kernel/scope-view.js";
import type { Scope } from "../kernel/scope.js";
import { callSite } from "../kernel/call-site.js";
import { interrupted, interruptedSteps } from "../kernel/interrupted-steps.js";
import { abandonStart, linkChild, makeChild } from "./child.js";
import { Handle, type ScopeHandle } from "./handle.js";
import type { ScopeOptions } from "./options.js";
import { watchHandle } from "./orphan.js";
import { isScope, nodeOf } from "./node-of.js";
import { applyHoldsProcess, checkScopeOptions } from "./handle-options.js";

/**
 * Makes a scope with an owner handle, for a lifetime that does not belong to a single function: of a server, a connection
 * pool, an object. Keep the handle, and `close()` it, or declare it with `await using`.
 *
 * A handle that is dropped without that is an orphan: when it is collected, its scope is cancelled and a process
 * warning reports it (see `onOrphan`). This is only a fallback, which runs at an unpredictable time.
 *
 * **Without a parent this makes a ROOT**, also when it is called inside a worker. Below a parent, the scope is
 * cancelled with it, and the parent does not settle before it has. A failure that no `join` or `close` receives is then a
 * failure of the parent. In a parent that is cancelled already, it starts cancelled.
 *
 * @param parent - The scope it belongs to; without it, a root.
 * @param options - Name, deadline, limits, receivers; `timeout` and `grace` in ms.
 * @returns The owner handle. Close it, or write `await using`.
 * @throws {ScopeClosedError} If `parent` has ended.
 * @throws {TypeError | RangeError} If an argument is of the wrong type or out of range.
 * @example
 * ```ts
 * const server = createScope({ name: "server" });
 * spawn(server, async function heartbeat({ signal }) {
 *   await new Promise((resolve) => signal.addEventListener("abort", resolve));
 * });
 * await server.close(); // cancels the heartbeat and waits for it
 * ```
 */
export function createScope(options?: ScopeOptions): ScopeHandle;
export function createScope(parent: Scope, options?: ScopeOptions): ScopeHandle;
export function createScope(...given: readonly unknown[]): ScopeHandle {
  const hasParent = given.length > 1 || isScope(given[0]);
  const parent = hasParent ? nodeOf("createScope", "parent", given[0] as Scope) : backgroundNode;
  const options = given[hasParent ? 1 : 0] as ScopeOptions | undefined;
  if (options !== undefined) checkScopeOptions("createScope", options);
  return openScope(parent, options, callSite(createScope));
}

/** `createScope`, for another public function, which was called at `site` and has checked the options. */
export function openScope(
  parent: ScopeNode,
  options: ScopeOptions | undefined,
  site: string | undefined,
): ScopeHandle {
  const node = makeChild("createScope", parent, options?.name ?? "anonymous", initialHandle, options);
  const handle = new Handle(node);
  watchHandle(handle, node, options?.onOrphan);
  applyHoldsProcess(node, options);
  linkChild(node, options, site);
  try {
    if (!isClosed(node)) publishOpen(node, "createScope");
  } catch (error) {
    interruptedSteps[interruptedSteps.length] = abandonStart;
    interruptedSteps[interruptedSteps.length] = node;
    interruptedSteps[interruptedSteps.length] = error;
    interrupted.wake(undefined);
    throw error;
  }
  return handle;
}
