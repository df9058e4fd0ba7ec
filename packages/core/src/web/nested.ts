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

/** Has the inner request cancelled with the outer one, unless that one has ended. */
export function nest<Exchange extends Nestable>(inner: Exchange, outer: Exchange): void {
  if (outer.hasEnded) return;
  outers.set(inner, outer);
  outer.node.onCancel((reason) => {
    if (!inner.hasEnded) cancelWith(inner.node, reason);
  });
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
  let found = exchange;
  for (;;) {
    const outer = outers.get(found) as Exchange | undefined;
    if (reason === undefined || outer?.node.reason !== reason) return found;
    found = outer;
  }
}
