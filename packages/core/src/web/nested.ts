import type { CancelledError } from "../errors/cancelled.js";
import { cancelWith } from "../kernel/lifecycle.js";
import type { ScopeNode } from "../kernel/node.js";

// A request that goes through one `fetchBough` inside another: an application with scopes whose routes have a `fetchBough` as
// well. The inner request has its own scope, in its own server. It is cancelled with the outer one.

/** The part of an exchange that is used. */
interface Nestable {
  readonly node: ScopeNode;
  readonly hasEnded: boolean;
}

/** The outer exchanges of those that are nested. */
const outers = new WeakMap<Nestable, Nestable>();
/** What removes the listeners of inner exchanges from the outer scopes, which may last much longer. */
const removers = new WeakMap<Nestable, readonly (() => boolean)[]>();

/** Has the inner request cancelled with each outer one that has not ended. */
export function nest<Exchange extends Nestable>(inner: Exchange, outer: Exchange): void {
  if (outer.hasEnded) return;
  outers.set(inner, outer);
  const cancelInner = (reason: CancelledError): void => {
    if (!inner.hasEnded) cancelWith(inner.node, reason);
  };
  // Not only with the next one: if an application passes a request on twice at once, that one may end first.
  const remove = [];
  for (let above: Nestable | undefined = outer; above !== undefined; above = outers.get(above))
    if (!above.hasEnded) remove.push(above.node.onCancel(cancelInner));
  removers.set(inner, remove);
}

/** Called when a request that may be nested has ended. */
export function unnest(exchange: Nestable): void {
  for (const remove of removers.get(exchange) ?? []) remove();
}

/** The innermost exchange that has not ended; if all have, the outermost one. */
export function innermost<Exchange extends Nestable>(exchange: Exchange | undefined): Exchange | undefined {
  let found = exchange;
  while (found?.hasEnded === true) {
    const outer = outers.get(found) as Exchange | undefined;
    if (outer === undefined) return found;
    found = outer;
  }
  return found;
}

/** The exchange that was cancelled first, of those that were cancelled for the same reason. It says what that means. */
export function cancelledFirst<Exchange extends Nestable>(
  exchange: Exchange,
  reason: CancelledError | undefined,
): Exchange {
  let first = exchange;
  if (reason === undefined) return first;
  for (let above = outers.get(exchange); above !== undefined; above = outers.get(above))
    if (above.node.reason === reason) first = above as Exchange;
  return first;
}
