import {
  beginCountingNonDaemons,
  countsNonDaemons,
  hasDeadlineTimer,
  hasPendingBody,
  hasToTrack,
  isClosed,
  isDaemon,
  isTask,
  isWatched,
  tracksChildren,
} from "./state.js";
import type { ScopeNode } from "./node.js";
import { announceChild } from "./child-watcher.js";

/**
 * The tree is intrusive: a node is itself an entry of its parent's doubly linked list of children, in spawn order.
 * `first.previous` is the last child; the last child's `next` is `undefined`. A child that has settled is unlinked, so
 * a scope that has run a million tasks is as small as one that has run none.
 */
export function link(parent: ScopeNode, child: ScopeNode): void {
  const first = parent.first;
  if (first === undefined) {
    child.previous = child;
    parent.first = child;
  } else {
    const last = first.previous as ScopeNode;
    last.next = child;
    child.previous = last;
    first.previous = child;
  }
  if (hasToTrack(parent, child)) afterLink(parent, child);
}

// Separate functions, so that V8 inlines `link` and `unlink` into their callers: every `spawn` calls both.

function afterLink(parent: ScopeNode, child: ScopeNode): void {
  if (isDaemon(child) || countsNonDaemons(parent)) countNonDaemons(parent, child, 1);
  if (hasDeadlineTimer(parent) && parent.first === child) updateTimerHold(parent);
  if (isWatched(parent)) announceChild(child);
}

export function unlink(child: ScopeNode): void {
  const parent = child.parent as ScopeNode;
  const first = parent.first as ScopeNode;
  const { next, previous } = child;
  if (child === first) parent.first = next;
  else (previous as ScopeNode).next = next;
  if (next !== undefined) next.previous = previous;
  else if (child !== first) first.previous = previous;
  if (cursors.length > 0) moveCursors(child);
  child.next = child.previous = undefined;
  if (tracksChildren(parent)) afterUnlink(parent, child);
}

function afterUnlink(parent: ScopeNode, child: ScopeNode): void {
  if (countsNonDaemons(parent)) countNonDaemons(parent, child, -1);
  if (hasDeadlineTimer(parent) && parent.first === undefined) updateTimerHold(parent);
}

/** A position of a walk, which stands on a node between two turns of the event loop; see `inspect/tree-cursor.ts`. */
export interface Cursor {
  /** Called before `node` is unlinked. Its children have been unlinked before. */
  leave(node: ScopeNode): void;
}

/**
 * The cursors in this copy's tree. Empty unless a walk is running. They are held weakly, since a debugger may
 * disconnect and a generator may be dropped during a walk.
 */
export const cursors: WeakRef<Cursor>[] = [];

function moveCursors(child: ScopeNode): void {
  for (let index = cursors.length - 1; index >= 0; index--) {
    const cursor = cursors[index]?.deref();
    if (cursor === undefined) cursors.splice(index, 1);
    else cursor.leave(child);
  }
}

/** Counts the children that are not daemons. Only a scope that has had a daemon counts. */
function countNonDaemons(parent: ScopeNode, child: ScopeNode, step: 1 | -1): void {
  const extras = parent.ensureExtras();
  if (!countsNonDaemons(parent)) {
    beginCountingNonDaemons(parent);
    for (let at = parent.first; at !== undefined; at = at.next) if (!isDaemon(at)) extras.nonDaemons += 1;
  } else if (!isDaemon(child)) {
    extras.nonDaemons += step;
  }
}

/** Whether all live children are daemons. */
export function hasOnlyDaemons(node: ScopeNode): boolean {
  return node.first === undefined || (countsNonDaemons(node) && node.extras?.nonDaemons === 0);
}

/**
 * The next node below `root` in preorder, parents first and children in spawn order; `undefined` at the end. Needs no
 * stack and no recursion. The tree must not change between two calls.
 *
 * @param skip - Whether to skip the nodes below `node`.
 */
export function nextInSubtree(root: ScopeNode, node: ScopeNode, skip: boolean): ScopeNode | undefined {
  if (!skip && node.first !== undefined) return node.first;
  let at = node;
  while (at !== root) {
    if (at.next !== undefined) return at.next;
    at = at.parent as ScopeNode;
  }
  return undefined;
}

/** Every node below `root` that has not settled, in preorder. */
export function* liveDescendants(root: ScopeNode): Generator<ScopeNode, void, void> {
  for (
    let node = nextInSubtree(root, root, false);
    node !== undefined;
    node = nextInSubtree(root, node, false)
  ) {
    if (!isClosed(node)) yield node;
  }
}

/** Updates whether the deadline timer keeps the process alive: only while the node has something to cancel. */
export function updateTimerHold(node: ScopeNode): void {
  node.extras?.settings?.deadlineTimer?.hold(hasPendingBody(node) || node.first !== undefined);
}

/** Recounts the children of `parent`, since an exception may have interrupted the counting. */
export function recountChildren(parent: ScopeNode): void {
  const { extras } = parent;
  if (extras === undefined) return;
  extras.nonDaemons = 0;
  const running: ScopeNode[] = [];
  for (let child = parent.first; child !== undefined; child = child.next) {
    if (!isDaemon(child)) extras.nonDaemons += 1;
    if (isTask(child)) running.push(child);
  }
  extras.settings?.limit?.recount(running);
  if (hasDeadlineTimer(parent)) updateTimerHold(parent);
}
