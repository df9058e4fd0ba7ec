import { markWatched } from "./state.js";
import type { ScopeNode } from "./node.js";

let watcher: ((child: ScopeNode) => void) | undefined;

/**
 * Sets the callback that receives the new children of the nodes marked by {@link watchChildren}. The leak finder uses
 * it.
 */
export function setChildWatcher(callback: (child: ScopeNode) => void): void {
  watcher = callback;
}

/** Announces the children of `node` from now on. Other nodes pay nothing. */
export function watchChildren(node: ScopeNode): void {
  markWatched(node);
}

export function announceChild(child: ScopeNode): void {
  watcher?.(child);
}
