import type { TaskInfo, WaitingFor } from "../errors/scope-errors.js";
import { annotationsOf } from "./annotations.js";
import { cleanupName } from "./defers.js";
import { BODY, CLEANING, CLOSED, ENDING, CANCELLED, HANDLE, NOTIFYING, TASK } from "./state.js";
import { taskInfo } from "./diagnostics.js";
import { waitsForDisposal } from "./held-failures.js";
import type { ScopeNode } from "./node.js";
import { nextInSubtree } from "./tree.js";

/**
 * What keeps `root` from settling, parents first: the nodes of which something of their own has not finished. Left out is
 * one whose body or cleanup most likely waits for another of these: for a child whose outcome somebody awaits.
 */
export function holdersOf(root: ScopeNode): Map<ScopeNode, WaitingFor> {
  const nodes: ScopeNode[] = [];
  for (let node: ScopeNode | undefined = root; node !== undefined; node = nextInSubtree(root, node, false))
    if ((node.flags & CLOSED) === 0 || waitsForDisposal(node)) nodes.push(node);
  /** Those that hold, or have one below that does; `true` if what they do themselves waits for such a one. */
  const held = new Map<ScopeNode, boolean>();
  const found: [ScopeNode, WaitingFor][] = [];
  for (const node of nodes.reverse()) {
    const own = held.get(node) === true ? undefined : ownWork(node);
    if (own !== undefined) found.push([node, own]);
    else if (!held.has(node)) continue;
    const { parent } = node;
    if (parent !== undefined) held.set(parent, held.get(parent) === true || isAwaited(node));
  }
  return new Map(found.reverse());
}

/** {@link holdersOf}, as reports say it. Never empty: what is about to settle waits for what is below. */
export function stuckTasks(root: ScopeNode): TaskInfo[] {
  const tasks = [...holdersOf(root)].map(([node, what]) => stuckInfo(node, what));
  return tasks.length > 0 ? tasks : [stuckInfo(root, "children")];
}

/** What a report says of a node that has not settled because of `what`. */
export function stuckInfo(node: ScopeNode, what: WaitingFor): TaskInfo {
  const cleaning = what === "cleanup" ? node.extras?.cleaning : undefined;
  const name = cleaning === undefined ? undefined : cleanupName(cleaning);
  const annotations = annotationsOf(node);
  return {
    ...taskInfo(node),
    waitingFor: what,
    ...(name === undefined ? {} : { cleanup: name }),
    ...(cleaning?.site === undefined ? {} : { deferredAt: cleaning.site }),
    ...(annotations === undefined
      ? {}
      : { annotation: [...annotations.values()].map(({ text }) => text).join(", ") }),
  };
}

/** What of `node` itself has not finished. One that waits for its turn in a `concurrency` holds up nothing. */
function ownWork(node: ScopeNode): WaitingFor | undefined {
  const { flags } = node;
  if ((flags & CLOSED) !== 0) return "close"; // its failure waits for the disposal of its handle
  if ((flags & BODY) !== 0)
    return node.extras?.bodyIs ?? node.observer?.bodyIs ?? ((flags & TASK) !== 0 ? "worker" : "body");
  if ((flags & CLEANING) !== 0) return "cleanup";
  if ((flags & NOTIFYING) !== 0) return "notification";
  const isOpen = (flags & (HANDLE | ENDING | CANCELLED)) === HANDLE;
  return isOpen && node.first === undefined ? "close" : undefined;
}

function isAwaited({ observer, extras }: ScopeNode): boolean {
  if (observer !== undefined) return observer.isAwaited !== false;
  return extras?.settings?.waiters !== undefined;
}
