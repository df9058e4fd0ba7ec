import type { ScopeNode } from "../kernel/node.js";
import { backgroundNode } from "../kernel/scope-view.js";
import { liveDescendants } from "../kernel/tree.js";

const left = new WeakSet<ScopeNode>();

/**
 * Whether a scope was created under a virtual clock that has ended since. Its age and deadline belong to that clock.
 */
export function isLeftByClock(node: ScopeNode): boolean {
  return left.has(node);
}

/**
 * Records the live scopes when a virtual clock begins.
 *
 * @returns A function that marks the live scopes that were created since.
 */
export function recordScopesOfClock(): () => void {
  const before = new WeakSet<ScopeNode>(liveDescendants(backgroundNode));
  return () => {
    for (const node of liveDescendants(backgroundNode)) if (!before.has(node)) left.add(node);
  };
}
