import { ScopeClosedError } from "../errors/scope-errors.js";
import { BODY, CANCELLED, CLEANING, CLOSED, CLOSED_BY_OWNER, CUT, DAEMON, ENDING } from "../kernel/state.js";
import type { ScopeNode } from "../kernel/node.js";
import type { ScopeOptions } from "./options.js";

/** What makes a scope other than plainly open. */
const NOT_OPEN = ENDING | CANCELLED | CLOSED | CLEANING;

/**
 * Whether `parent` takes a new child. `false` means that the child is to be born cancelled.
 *
 * @throws {ScopeClosedError} If the scope has ended, or is closing with no child alive.
 */
export function admits(operation: string, parent: ScopeNode): boolean {
  const flags = parent.flags;
  if ((flags & NOT_OPEN) === 0) return true;
  if ((flags & CANCELLED) !== 0) {
    if ((flags & (CLOSED | CLOSED_BY_OWNER)) === (CLOSED | CLOSED_BY_OWNER)) {
      throw new ScopeClosedError(operation, parent.path);
    }
    return false;
  }
  const alive = (flags & BODY) !== 0 || parent.first !== undefined;
  if ((flags & CLOSED) !== 0 || !alive) throw new ScopeClosedError(operation, parent.path);
  return true;
}

/** Makes a node that is cancelled and closed before it began. Its parent's work was cut short by that. */
export function bornCancelled(node: ScopeNode, options?: ScopeOptions): ScopeNode {
  const parent = node.parent as ScopeNode;
  node.flags |= CANCELLED | CLOSED | CUT;
  if ((parent.flags & CLOSED) === 0 && (node.flags & DAEMON) === 0) parent.flags |= CUT;
  // A callback that it gets later can still throw, and then its own receiver is the nearest.
  if (options?.onError !== undefined) node.ensureSettings().onError = options.onError;
  return node;
}
