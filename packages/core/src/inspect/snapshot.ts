import { describe } from "../errors/describe.js";
import type { CancelKind, CancelledError } from "../errors/cancelled.js";
import type { TaskStatus } from "../errors/scope-errors.js";
import { ageSince } from "../kernel/age-clock.js";
import { annotationsOf } from "../kernel/annotations.js";
import { hasHandle, isBackground, isDaemon, isTask, isWindingUp } from "../kernel/state.js";
import { statusOf } from "../kernel/diagnostics.js";
import type { ScopeNode } from "../kernel/node.js";
import { backgroundNode } from "../kernel/scope-view.js";
import type { Scope, ScopeState } from "../kernel/scope.js";
import { nextInSubtree } from "../kernel/tree.js";
import { nodeOf } from "../task/resolve.js";
import { isLeftByClock } from "./left-by-clock.js";

/**
 * What a scope was made by: `spawn` (task), `createScope` (handle), `withScope` (scope), or nobody: the background,
 * above all roots.
 */
export type SnapshotKind = "background" | "handle" | "scope" | "task";

/** A scope and everything below it at one moment. Plain data: it can be stringified, and it keeps nothing alive. */
export interface Snapshot {
  /** The name of the scope or task. Of the background: `background`. */
  readonly name: string;
  /** Names from the root, joined by `/`. Empty for the background. */
  readonly path: string;
  /** What it was made by. */
  readonly kind: SnapshotKind;
  /** Where it is in its life. */
  readonly state: ScopeState;
  /** Tasks only. */
  readonly status?: TaskStatus;
  /** Present on tasks that their scope does not wait for. */
  readonly daemon?: true;
  /** Milliseconds since it was made. */
  readonly age: number;
  /** The earliest deadline on the way to the root, in epoch ms. */
  readonly deadline?: number;
  /** Why it was cancelled. */
  readonly reason?: SnapshotReason;
  /** How much is in it. */
  readonly counts: SnapshotCounts;
  /**
   * It was cancelled, or has come to its end, and what it waits for now is its own: its worker winding up, or its
   * cleanups. Where a whole tree does not come down, this marks the scopes that hold it up.
   */
  readonly waitingForCleanup: boolean;
  /** Present on what was made under a virtual clock that has ended since: its times are of another clock. */
  readonly leftByClock?: true;
  /** What integrations say of it, in a few words: which process a remote job runs in, for example. */
  readonly note?: string;
  /** The data of these integrations, by their names. */
  readonly annotations?: Readonly<Record<string, unknown>>;
  /** Where it was spawned or created; recorded only while tracing is on. */
  readonly spawnedAt?: string;
  /** In spawn order. What has settled is gone from the tree. */
  readonly children: readonly Snapshot[];
}

/** A {@link CancelledError} as plain data. */
export interface SnapshotReason {
  /** What has cancelled the scope. */
  readonly kind: CancelKind;
  /** The path of the scope on which the cancellation began. */
  readonly scope: string;
  /** The message of the error. */
  readonly message: string;
  /** What was given to `cancel(cause)`, in words. */
  readonly cause?: string;
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
 * Takes a picture of a tree: what is alive in it, in which state, since when, and what it waits for.
 *
 * It changes nothing, needs no tracing, and is linear in the number of live scopes, at any depth. The picture nests
 * as the tree does, so `JSON.stringify`, which recurses, can't print one of some thousand levels; `formatTree` can.
 *
 * @param scope - Where to begin. Default: the background, which is the whole process.
 * @returns The picture.
 * @throws {TypeError} If `scope` is no scope.
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
  const reasons = new Map<CancelledError, SnapshotReason>();
  const top = draft(root, root.path, root.deadline, reasons);
  const drafts = new Map<ScopeNode, Draft>([[root, top]]);
  const order: Draft[] = [top];
  for (let at = nextInSubtree(root, root, false); at !== undefined; at = nextInSubtree(root, at, false)) {
    const parent = drafts.get(at.parent as ScopeNode) as Draft;
    // The engine shares the text with the parent's path: at 100,000 levels, copies would take gigabytes.
    const path = parent.path === "" ? at.name : `${parent.path}/${at.name}`;
    const made = draft(at, path, at.extras?.settings?.deadline?.instant ?? parent.snapshot.deadline, reasons);
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
  path: string,
  deadline: number | undefined,
  reasons: Map<CancelledError, SnapshotReason>,
): Draft {
  const { reason, extras } = node;
  const children: Snapshot[] = [];
  const kind = kindOf(node);
  const counts = {
    children: 0,
    tasks: 0,
    queued: 0,
    cleanups: countCleanups(node),
    waiters: extras?.settings?.waiters?.size ?? 0,
    failures: extras?.errors?.size ?? 0,
  };
  const made: Snapshot = {
    name: node.name,
    path,
    kind,
    state: node.state,
    ...(kind === "task" ? { status: statusOf(node) } : {}),
    ...(!isDaemon(node) ? {} : { daemon: true as const }),
    age: ageSince(node.startedAt),
    ...(deadline === undefined ? {} : { deadline }),
    ...(reason === undefined ? {} : { reason: plainReason(reason, reasons) }),
    counts,
    waitingForCleanup: isWindingUp(node),
    ...(isLeftByClock(node) ? { leftByClock: true as const } : {}),
    ...annotationFields(node),
    ...(extras?.site === undefined ? {} : { spawnedAt: extras.site }),
    children,
  };
  return { path, snapshot: made, children, counts, parent: undefined };
}

function annotationFields(node: ScopeNode): Pick<Snapshot, "note" | "annotations"> {
  const found = annotationsOf(node);
  if (found === undefined) return {};
  const note = [...found.values()].map(({ text }) => text).join(" · ");
  const data = [...found].filter(([, annotation]) => annotation.data !== undefined);
  return {
    note,
    ...(data.length === 0
      ? {}
      : { annotations: Object.fromEntries(data.map(([key, annotation]) => [key, annotation.data])) }),
  };
}

function kindOf(node: ScopeNode): SnapshotKind {
  if (isBackground(node)) return "background";
  if (isTask(node)) return "task";
  return hasHandle(node) ? "handle" : "scope";
}

function countCleanups(node: ScopeNode): number {
  let count = 0;
  for (let at = node.extras?.defers; at !== undefined; at = at.earlier) count += 1;
  return count;
}

/** One for all the scopes that a cancellation reached, as they have one reason. */
function plainReason(reason: CancelledError, known: Map<CancelledError, SnapshotReason>): SnapshotReason {
  let plain = known.get(reason);
  if (plain === undefined) {
    const { kind, scope, message, cause } = reason;
    plain = { kind, scope, message, ...(cause === undefined ? {} : { cause: inWords(cause) }) };
    known.set(reason, plain);
  }
  return plain;
}

function inWords(cause: unknown): string {
  try {
    if (cause instanceof Error) return `${cause.name}: ${cause.message}`;
  } catch {
    // A getter that throws, or a message that is no text.
  }
  return describe(cause);
}
