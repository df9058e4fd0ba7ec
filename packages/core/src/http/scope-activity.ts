import { CallbackHook, type Hook } from "../kernel/cancel-hooks.js";
import type { ScopeNode } from "../kernel/node.js";

// Questions about the work and the listeners that a handler has added to the scope of its request.

/** Whether a cancellation reaches the code of a handler. A handler that it does not reach is stuck rather than done. */
export function reachesHandler({ hooks, extras, first }: ScopeNode): boolean {
  if (extras?.controller !== undefined || first !== undefined) return true;
  for (let hook = hooks; hook !== undefined; hook = hook.next)
    if (!(hook instanceof CallbackHook)) return true;
  return false;
}

/**
 * Whether nothing hangs on the scope: no task, no cleanup and no listener, and its signal was not read.
 *
 * @param own - The listener of the request itself, if it has one.
 */
export function isIdle(
  { cancelled, first, hooks, extras }: ScopeNode,
  own: Pick<Hook, "next"> | undefined,
): boolean {
  if (cancelled || first !== undefined || hooks !== own || own?.next !== undefined) return false;
  return extras === undefined || (extras.controller === undefined && extras.defers === undefined);
}
