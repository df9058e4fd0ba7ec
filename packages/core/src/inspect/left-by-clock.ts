import type { ScopeNode } from "../kernel/node.js";
import { backgroundNode } from "../kernel/scope-view.js";
import { liveDescendants } from "../kernel/tree.js";

const left = new WeakSet<ScopeNode>();

/** Whether a scope was made under a virtual clock that has ended since: its ages and deadlines are of another time. */
export function isLeftByClock(node: ScopeNode): boolean {
  return left.has(node);
}

/** Notes what is alive when a virtual clock begins. @returns Marks what has come and not gone when it ends. */
export function watchForLeft(): () => void {
  const before = new WeakSet<ScopeNode>(liveDescendants(backgroundNode));
  return () => {
    for (const node of liveDescendants(backgroundNode)) if (!before.has(node)) left.add(node);
  };
}
