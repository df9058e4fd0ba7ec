import type { CancelledError } from "../errors/cancelled.js";
import { elapsed } from "../kernel/age-clock.js";
import type { ScopeNode } from "../kernel/node.js";
import { backgroundNode } from "../kernel/scope-view.js";
import type { Scope } from "../kernel/scope.js";
import { nextInSubtree } from "../kernel/tree.js";
import { nodeOf } from "../task/resolve.js";
import { describeNode, type NodeInfo, type ReasonInfo } from "./describe-node.js";
import { isLeftByClock } from "./left-by-clock.js";

/** A scope and everything below it at one moment. Plain data: it can be stringified, and it keeps nothing alive. */
export interface Snapshot extends Omit<NodeInfo, "cleanups" | "failures" | "waiters"> {
  /** Names from the root, joined by `/`. Empty for the background. */
  readonly path: string;
  /** The earliest deadline on the way to the root, in epoch ms. */
  readonly deadline?: number;
  /** How much is in it. */
  readonly counts: SnapshotCounts;
  /** Present if the node was made under a virtual clock that has ended since: its times belong to another clock. */
  readonly leftByClock?: true;
  /** The live children in spawn order. */
  readonly children: readonly Snapshot[];
}

/** How much is in a scope. */
export interface SnapshotCounts {
  /** Live children, of any kind. */
  readonly children: number;
  /** Live tasks below, at any depth. */
  readonly tasks: number;
  /** How many of the children wait for a slot of this scope's `concurrency`. */
  readonly queued: number;
  /** Cleanups (`defer`, `use`) that have not begun. */
  readonly cleanups: number;
  /** Pending `join` and `close` calls. */
  readonly waiters: number;
  /** Failures recorded so far. */
  readonly failures: number;
}

/**
 * Returns a snapshot of a tree: each live scope with its state, its age, and the work that it waits for.
 *
 * It changes nothing, needs no tracing, and is linear in the number of live scopes, at any depth. It is taken in one turn of
 * the event loop, some microseconds for each scope: {@link walk} looks at a large tree without blocking. The picture nests as
 * the tree does, so `JSON.stringify`, which recurses, can't print one of some thousand levels; {@link stringifyTree} and
 * {@link formatTree} can.
 *
 * @param scope - Where to begin. Default: the background, which is the whole process.
 * @returns The scope, with everything below it.
 * @throws {TypeError} If `scope` is not a scope.
 * @example
 * ```ts
 * await withScope({ name: "server" }, async (scope) => {
 *   spawn(scope, function heartbeat(task) { return sleep(task, 10); });
 *   const { children } = snapshot(scope);
 *   console.log(children.map((child) => child.path)); // [ "server/heartbeat" ]
 * });
 * ```
 */
export function snapshot(scope?: Scope): Snapshot {
  const root = scope === undefined ? backgroundNode : nodeOf("snapshot", "scope", scope);
  const now = Math.floor(elapsed());
  const reasons = new Map<CancelledError, ReasonInfo>();
  const top = draft(root, now, root.path, root.deadline, reasons);
  const drafts = new Map<ScopeNode, Draft>([[root, top]]);
  const order: Draft[] = [top];
  for (let at = nextInSubtree(root, root, false); at !== undefined; at = nextInSubtree(root, at, false)) {
    const parent = drafts.get(at.parent as ScopeNode) as Draft;
    // The engine shares the text with the parent's path: at 100,000 levels, copies would take gigabytes.
    const path = parent.path === "" ? at.name : `${parent.path}/${at.name}`;
    const deadline = at.extras?.settings?.deadline?.instant ?? parent.snapshot.deadline;
    const made = draft(at, now, path, deadline, reasons);
    made.parent = parent;
    parent.children.push(made.snapshot);
    parent.counts.children += 1;
    if (made.snapshot.status === "queued") parent.counts.queued += 1;
    drafts.set(at, made);
    order.push(made);
  }
  // Children come after their parents: backwards, each is complete when its parent adds it up.
  for (const { parent, counts, snapshot: made } of order.toReversed()) {
    if (parent !== undefined) parent.counts.tasks += counts.tasks + (made.kind === "task" ? 1 : 0);
  }
  return top.snapshot;
}

interface Draft {
  readonly path: string;
  readonly snapshot: Snapshot;
  readonly children: Snapshot[];
  readonly counts: { -readonly [K in keyof SnapshotCounts]: SnapshotCounts[K] };
  parent: Draft | undefined;
}

function draft(
  node: ScopeNode,
  now: number,
  path: string,
  deadline: number | undefined,
  reasons: Map<CancelledError, ReasonInfo>,
): Draft {
  const { cleanups, waiters, failures, ...info } = describeNode(node, now, reasons);
  const children: Snapshot[] = [];
  const counts = { children: 0, tasks: 0, queued: 0, cleanups, waiters, failures };
  const made: Snapshot = {
    ...info,
    path,
    ...(deadline === undefined ? {} : { deadline }),
    counts,
    ...(isLeftByClock(node) ? { leftByClock: true as const } : {}),
    children,
  };
  return { path, snapshot: made, children, counts, parent: undefined };
}
