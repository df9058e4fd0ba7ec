import type { ScopeNode } from "../kernel/node.js";
import { backgroundNode } from "../kernel/scope-view.js";
import { liveDescendants } from "../kernel/tree.js";

const left = new WeakSet<ScopeNode>();

/** Whether a scope was made under a virtual clock that has ended since: its ages and deadlines belong to another clock. */
export function isLeftByClock(node: ScopeNode): boolean {
  return left.has(node);
}

/** Notes the live scopes when a virtual clock begins. @returns A function that marks the scopes that were added and are alive. */
export function watchForLeft(): () => void {
  const before = new WeakSet<ScopeNode>(liveDescendants(backgroundNode));
  return () => {
    for (const node of liveDescendants(backgroundNode)) if (!before.has(node)) left.add(node);
  };
}
