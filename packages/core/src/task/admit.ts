import { ScopeClosedError } from "../errors/scope-errors.js";
import {
  closeUnlinked,
  hasRunningBody,
  isCancelled,
  isClosed,
  isClosedByOwner,
  isDaemon,
  isOpen,
  markCutShort,
} from "../kernel/state.js";
import type { ScopeNode } from "../kernel/node.js";
import type { ScopeOptions } from "./options.js";

/**
 * Whether `parent` takes a new child. `false` means that the child is to be born cancelled.
 *
 * @throws {ScopeClosedError} If the scope has ended, or is closing with no child alive.
 */
export function admits(operation: string, parent: ScopeNode): boolean {
  if (isOpen(parent)) return true;
  if (isCancelled(parent)) {
    if (isClosedByOwner(parent)) {
      throw new ScopeClosedError(operation, parent.path);
    }
    return false;
  }
  const alive = hasRunningBody(parent) || parent.first !== undefined;
  if (isClosed(parent) || !alive) throw new ScopeClosedError(operation, parent.path);
  return true;
}

/** Makes a node that is cancelled and closed before it began. Its parent's work was cut short by that. */
export function bornCancelled(node: ScopeNode, options?: ScopeOptions): ScopeNode {
  const parent = node.parent as ScopeNode;
  closeUnlinked(node);
  markCutShort(node);
  if (!isClosed(parent) && !isDaemon(node)) markCutShort(parent);
  // A callback that it gets later can still throw, and then its own receiver is the nearest.
  if (options?.onError !== undefined) node.ensureSettings().onError = options.onError;
  return node;
}
