import { CLOSED, CUT, DELIVERED, FOLLOWED, GIVEN, TASK } from "../kernel/flags.js";
import type { ScopeNode } from "../kernel/node.js";
import { createPromised, follower, type Promised } from "../kernel/observer.js";
import { firstError } from "../kernel/settle.js";

/**
 * The promise for what `node` comes to. Whoever asks for it is the receiver of its failures.
 *
 * While the promise of the body is followed, the reaction to that is as good as a promise of its own, which with its
 * resolvers costs more than all the rest of a task. All who ask later get the same one, so that they are called back in
 * the order in which they asked.
 *
 * @param following - That reaction; see `begin`.
 */
export function outcome(node: ScopeNode, following: Promise<unknown> | undefined): Promise<unknown> {
  if (following !== undefined && canFollow(node)) return following;
  if ((node.flags & CLOSED) !== 0) {
    node.flags |= DELIVERED;
    return new Promise((resolve) => resolve(settled(node, node.value)));
  }
  const { observer } = node;
  if (observer === undefined || observer === follower) {
    node.observer = createPromised();
  } else if (observer.heard !== undefined) {
    const { promise, resolve, reject } = observer as Promised;
    node.observer = { promise, resolve, reject } as Promised;
  }
  return (node.observer as Promised).promise;
}

function canFollow(node: ScopeNode): boolean {
  if ((node.flags & GIVEN) !== 0) return true;
  if ((node.flags & FOLLOWED) === 0 || (node.observer !== undefined && node.observer !== follower))
    return false;
  node.observer = follower;
  node.flags |= GIVEN;
  return true;
}

/** What that reaction comes to, now that the body has ended. */
export function follow(node: ScopeNode, value: unknown): unknown {
  if ((node.flags & GIVEN) === 0) return undefined;
  if ((node.flags & CLOSED) !== 0) return settled(node, value);
  const promised = createPromised();
  node.observer = promised;
  return promised.promise;
}

function settled(node: ScopeNode, value: unknown): unknown {
  if ((node.flags & TASK) === 0) node.value = undefined; // a task may be asked again
  if (node.rarely?.errors !== undefined) throw firstError(node);
  if ((node.flags & CUT) !== 0) throw node.reason as unknown;
  return value;
}
