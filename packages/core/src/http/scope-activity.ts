import { CallbackHook, type Hook } from "../kernel/cancel-hooks.js";
import type { ScopeNode } from "../kernel/node.js";

// Inspects the work and the listeners that a handler has added to the scope of its request.

/** Whether a cancellation notifies the code of a handler. Otherwise the handler is stuck rather than winding up. */
export function notifiesHandler({ hooks, extras, first }: ScopeNode): boolean {
  if (extras?.controller !== undefined || first !== undefined) return true;
  for (let hook = hooks; hook !== undefined; hook = hook.next)
    if (!(hook instanceof CallbackHook)) return true;
  return false;
}

/**
 * Whether nothing uses the scope: it has no task, cleanup or listener, and its signal was not read.
 *
 * @param own - The runtime's own listener, if the request has a record.
 */
export function isIdle(
  { cancelled, first, hooks, extras }: ScopeNode,
  own: Pick<Hook, "next"> | undefined,
): boolean {
  if (cancelled || first !== undefined || hooks !== own || own?.next !== undefined) return false;
  return extras === undefined || (extras.controller === undefined && extras.defers === undefined);
}
