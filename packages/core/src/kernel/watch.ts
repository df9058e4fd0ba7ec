import { WATCHED } from "./state.js";
import type { ScopeNode } from "./node.js";

let watcher: ((child: ScopeNode) => void) | undefined;

/** Sets the callback that receives the new children of all nodes marked by {@link watch}: that of the leak finder. */
export function setChildWatcher(callback: (child: ScopeNode) => void): void {
  watcher = callback;
}

/** Makes `node` announce its children from now on. Costs those that are not watched nothing. */
export function watch(node: ScopeNode): void {
  node.flags |= WATCHED;
}

export function childLinked(child: ScopeNode): void {
  watcher?.(child);
}
