import type { TaskInfo, WaitingFor } from "../errors/scope-errors.js";
import { cleanupName } from "./defers.js";
import { hasRunningBody, isCleaning, isClosed, isHeldOpen, isNotifying, isTask } from "./state.js";
import { taskInfo } from "./diagnostics.js";
import { waitsForDisposal } from "./held-failures.js";
import { integrations } from "./integrations.js";
import type { ScopeNode } from "./node.js";
import { nextInSubtree } from "./tree.js";

/**
 * Returns the nodes that keep `root` from settling, parents first, each with its unfinished work. A node is left out if
 * its body or cleanup most likely waits for another node of the list, such as an awaited child.
 */
export function blockersOf(root: ScopeNode): Map<ScopeNode, WaitingFor> {
  const nodes: ScopeNode[] = [];
  for (let node: ScopeNode | undefined = root; node !== undefined; node = nextInSubtree(root, node, false))
    if (!isClosed(node) || waitsForDisposal(node)) nodes.push(node);
  /** The nodes with unfinished descendants; `true` if their own work waits for one of these. */
  const blocked = new Map<ScopeNode, boolean>();
  const found: [ScopeNode, WaitingFor][] = [];
  for (const node of nodes.reverse()) {
    const own = blocked.get(node) === true ? undefined : ownWork(node);
    if (own !== undefined) found.push([node, own]);
    else if (!blocked.has(node)) continue;
    const { parent } = node;
    if (parent !== undefined) blocked.set(parent, blocked.get(parent) === true || isAwaited(node));
  }
  return new Map(found.reverse());
}

/** The result of {@link blockersOf} for reports. Never empty: without blockers, `root` waits for its children. */
export function stuckTasks(root: ScopeNode): TaskInfo[] {
  const tasks = [...blockersOf(root)].map(([node, what]) => stuckInfo(node, what));
  return tasks.length > 0 ? tasks : [stuckInfo(root, "children")];
}

/** The entry of a report for a node that has not settled because of `what`. */
export function stuckInfo(node: ScopeNode, what: WaitingFor): TaskInfo {
  const cleaning = what === "cleanup" ? node.extras?.cleaning : undefined;
  const name = cleaning === undefined ? undefined : cleanupName(cleaning);
  const annotation = integrations.annotationText?.(node);
  return {
    ...taskInfo(node),
    waitingFor: what,
    ...(name === undefined ? {} : { cleanup: name }),
    ...(cleaning?.site === undefined ? {} : { deferredAt: cleaning.site }),
    ...(annotation === undefined ? {} : { annotation }),
  };
}

/** The unfinished work of `node` itself. A task that waits for a slot has none. */
function ownWork(node: ScopeNode): WaitingFor | undefined {
  if (isClosed(node)) return "close"; // its failure waits for the disposal of its handle
  if (hasRunningBody(node))
    return node.extras?.bodyKind ?? node.observer?.bodyKind ?? (isTask(node) ? "worker" : "body");
  if (isCleaning(node)) return "cleanup";
  if (isNotifying(node)) return "notification";
  const isOpen = isHeldOpen(node);
  return isOpen && node.first === undefined ? "close" : undefined;
}

function isAwaited({ observer, extras }: ScopeNode): boolean {
  if (observer !== undefined) return observer.isAwaited !== false;
  return extras?.settings?.waiters !== undefined;
}
