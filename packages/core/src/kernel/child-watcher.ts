import { WATCHED } from "./state.js";
import type { ScopeNode } from "./node.js";

let watcher: ((child: ScopeNode) => void) | undefined;

/** Sets the callback that receives the new children of all nodes marked by {@link watchChildren}: that of the leak finder. */
export function setChildWatcher(callback: (child: ScopeNode) => void): void {
  watcher = callback;
}

/** Makes `node` announce its children from now on. Nodes that are not watched pay nothing. */
export function watchChildren(node: ScopeNode): void {
  node.flags |= WATCHED;
}

export function announceChild(child: ScopeNode): void {
  watcher?.(child);
}
