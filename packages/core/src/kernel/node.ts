import type { CancelledError } from "../errors/cancelled.js";
import type { TaskInfo, WaitingFor } from "../errors/scope-errors.js";
import { coarseElapsed } from "./monotonic-clock.js";
import type { ContextKey } from "./context-key.js";
import type { LongTimer } from "./long-timer.js";
import { nameOf, type Named } from "./name.js";
import type { Observer, PromiseObserver } from "./observer.js";
import type { ScopeKind } from "./scope-kind.js";
import type { Scope, ScopeState } from "./scope.js";
import type { SignalController } from "./signal-controller.js";
import { inheritedFlags, isCancelled, isClosed, isEnding } from "./state.js";

/**
 * A name, or an object that has one, such as a function: reading `Function.name` costs as much as creating a promise.
 */
export type Label = string | Named;

let lastId = 0;

/** How many nodes have been created: ids count from 1. */
export const createdNodes = (): number => lastId;

/**
 * A node of the tree: the record that all other files of this folder work on. A scope, a task and the view that a
 * worker receives are this one object.
 *
 * The class holds the fields, and the getters that read only fields. The operations of `Scope` are declared here and
 * implemented at the top of the folder, in `scope-view.ts`. This keeps the imports free of cycles. Every node is
 * created as a `ScopeView`, so all nodes have one shape.
 *
 * **Invariant (rule 19):** nothing that a node reaches may reach an owner handle. The handle points at the node, never
 * the other way. The only exception are the entries of `extras.settings.waiters`, which keep the handle alive on
 * purpose while a `join` or `close` is pending.
 *
 * The fields are declared here and assigned in the constructor, in one order. A field with an initialiser would be
 * written twice, and V8 would know less about its type. The fields that the cancellation of a wide tree reads come
 * first.
 */
export abstract class ScopeNode implements Scope {
  /** The life cycle; read and written with the functions of `state.ts` only. */
  declare flags: number;
  /** The next child of the same parent, in spawn order. */
  declare next: ScopeNode | undefined;
  /** The first child. Children that have settled are not in the list. */
  declare first: ScopeNode | undefined;
  /** The listeners for a cancellation, oldest first; see `cancel-hooks.ts`. Empty once the cancellation has been notified. */
  declare hooks: CancelHook | undefined;
  /** The fields that few nodes need; allocated by {@link ensureExtras}. */
  declare extras: Extras | undefined;
  /** Never changes. `undefined` only for the background. */
  declare readonly parent: ScopeNode | undefined;
  /** The previous sibling; the last child for the first one. `undefined` when the node is not in the tree. */
  declare previous: ScopeNode | undefined;
  /** The reason, on the node where a cancellation began. Cached on other nodes; see {@link reason}. */
  declare ownReason: CancelledError | undefined;
  /** Receives the outcome when the node settles; cleared then. */
  declare observer: Observer | undefined;
  /** The value that the body returned. A task keeps it; any other node drops it when it settles. */
  declare value: unknown;
  /** Replaced by the name once the worker has been called, so that a node does not keep its worker's closure alive. */
  declare label: Label;
  /** On the clock of `monotonic-clock.ts`. */
  declare readonly startedAt: number;
  /** Unique in this copy of the package, in the order of creation. Names and paths are not unique. */
  declare readonly id: number;

  /**
   * @param initialFlags - One of the initial states of `state.ts`.
   * @param startedAt - Of nodes that start together, the time of the first.
   */
  constructor(
    parent: ScopeNode | undefined,
    label: Label,
    initialFlags: number,
    startedAt: number = coarseElapsed(),
  ) {
    this.flags = parent === undefined ? initialFlags : initialFlags | inheritedFlags(parent);
    this.next = undefined;
    this.first = undefined;
    this.hooks = undefined;
    this.extras = undefined;
    this.parent = parent;
    this.previous = undefined;
    this.ownReason = undefined;
    this.observer = undefined;
    this.value = undefined;
    this.label = label;
    this.startedAt = startedAt;
    this.id = ++lastId;
  }

  ensureExtras(): Extras {
    return (this.extras ??= new Extras());
  }

  ensureSettings(): Settings {
    return (this.ensureExtras().settings ??= new Settings());
  }

  get name(): string {
    this.dropWorker();
    return this.label as string;
  }

  /** Replaces the worker by its name, so that a task that is kept does not keep the worker's closure. */
  dropWorker(): void {
    if (typeof this.label === "string") return;
    this.label = nameOf(this.label);
  }

  /**
   * The names from the root, joined by `/`. Cached on inner nodes, so that the paths of a deep tree share their
   * prefixes. Otherwise 100,000 levels that each report a failure would create 100,000 long strings.
   */
  get path(): string {
    const below: ScopeNode[] = [];
    let at: ScopeNode = this;
    while (at.parent?.parent !== undefined && at.extras?.path === undefined) {
      below.push(at);
      at = at.parent;
    }
    let path = at.parent === undefined ? "" : (at.extras?.path ?? at.name); // the path of a root is its name
    for (let next = below.pop(); next !== undefined; next = below.pop()) {
      path = path === "" ? next.name : `${path}/${next.name}`;
      if (next.extras !== undefined || next.first !== undefined) next.ensureExtras().path = path;
    }
    return path;
  }

  get state(): ScopeState {
    if (isClosed(this)) return "closed";
    if (isCancelled(this)) return "cancelling";
    return isEnding(this) ? "closing" : "open";
  }

  get cancelled(): boolean {
    return isCancelled(this);
  }

  /**
   * The reason of the nearest ancestor that has one: every node in between was cancelled with it. It is not copied to
   * every node: a pointer from an old object to a new one costs the garbage collector more than the rest of a
   * cancellation. It is cached on distant nodes, so that a deep tree is not walked again from every level.
   */
  get reason(): CancelledError | undefined {
    if (!isCancelled(this)) return undefined;
    if (this.extras !== undefined) this.ownReason ??= this.extras.settings?.makeReason?.();
    let at: ScopeNode = this;
    while (at.ownReason === undefined) at = at.parent as ScopeNode;
    const reason = at.ownReason;
    for (let node: ScopeNode = this; node !== at && node.parent !== at; node = node.parent as ScopeNode) {
      node.ownReason = reason;
    }
    return reason;
  }

  get errors(): readonly unknown[] {
    const errors = this.extras?.errors;
    return errors === undefined ? [] : [...errors.keys()];
  }

  abstract readonly signal: AbortSignal;
  abstract readonly deadline: number | undefined;
  abstract cancel(cause?: unknown): boolean;
  abstract throwIfCancelled(): void;
  abstract onCancel(callback: (reason: CancelledError) => void): () => boolean;
  abstract defer(cleanup: () => unknown): void;
  abstract use<R extends Disposable | AsyncDisposable>(resource: R): R;
  abstract get<T>(key: ContextKey<T>): T;
  abstract set<T>(key: ContextKey<T>, value: NoInfer<T>): void;
  abstract toJSON(): { name: string; path: string; state: ScopeState };
}

/** Records that the worker checks for a cancellation. Snapshots and warnings report workers that never do. */
export function recordCancelCheck(node: ScopeNode): void {
  if (node.extras?.polls !== true) node.ensureExtras().polls = true;
}

/** The fields that most nodes never need. Kept apart so that a plain task stays small. */
export class Extras {
  /** The controller of `signal`; created on the first read. */
  controller: SignalController | undefined = undefined;
  /** The cleanup that runs next: the one deferred last. */
  defers: Defer | undefined = undefined;
  /** The cleanup that is running. */
  cleaning: Defer | undefined = undefined;
  /** Each failure once, in order, with the node in which it happened. Never empty. */
  errors: Map<unknown, ScopeNode> | undefined = undefined;
  context: Map<ContextKey<unknown>, unknown> | undefined = undefined;
  /** The number of live children that are not daemons. Counted only from the first daemon on; see `tree.ts`. */
  nonDaemons = 0;
  /** The cached path. */
  path: string | undefined = undefined;
  /** Where the node was spawned or created; recorded only while tracing is on. */
  site: string | undefined = undefined;
  settings: Settings | undefined = undefined;
  /** Whether `throwIfCancelled` or `checkpoint` was called: the worker checks for a cancellation. */
  polls = false;
  /** Set only if a diagnostics channel has published the opening of the scope. */
  kind: ScopeKind | undefined = undefined;
  /** The name of the body in reports, if it is not a function of the user. */
  bodyKind: WaitingFor | undefined = undefined;
}

/** The fields that options and owner handles need. */
export class Settings {
  /** The node's own deadline. Set only if it is earlier than the deadline of every ancestor. */
  deadline: Deadline | undefined = undefined;
  deadlineTimer: LongTimer | undefined = undefined;
  /** The node's own grace period, in ms. */
  grace: number | undefined = undefined;
  /** Runs from the cancellation of the node. */
  graceTimer: LongTimer | undefined = undefined;
  /** Makes the reason of a node that was cancelled without one; see `cancelIdle` in `reason.ts`. */
  makeReason: (() => CancelledError) | undefined = undefined;
  limit: ConcurrencyLimit | undefined = undefined;
  follower: SignalFollower | undefined = undefined;
  onError: ((error: unknown, task: TaskInfo) => void) | undefined = undefined;
  isCancellation: ((error: unknown, reason: CancelledError) => boolean) | undefined = undefined;
  /** Failures of other scopes that `suppressed()` lists with the failure that this scope rejects with. */
  suppressed: Set<unknown> | undefined = undefined;
  /** Set once the scope has survived a failure, or has the option `supervise`. */
  survived: SurvivedFailures | undefined = undefined;
  /** The pending calls of `join`, `close` and dispose. */
  waiters: Waiter[] | undefined = undefined;
  /** The notes of integrations on the node for snapshots and reports, by their keys; see `annotations.ts`. */
  annotators: Map<string, () => { readonly text: string; readonly data?: unknown } | undefined> | undefined =
    undefined;
  /** The check of an integration, which may cancel the node; see `checkDeadline` in `deadline.ts`. */
  check: (() => void) | undefined = undefined;
  /**
   * Set once the disposal method of the handle was read, as `await using` does: then a failure waits for the disposal; see
   * `held-failures.ts`.
   */
  holdFailure: ((node: ScopeNode, deliver: (node: ScopeNode) => void) => void) | undefined = undefined;
}

/** A listener for the cancellation of a node; see `Hook` in `cancel-hooks.ts`. */
export interface CancelHook {
  next: CancelHook | undefined;
  previous: CancelHook | undefined;
  run(reason: CancelledError): void;
  ended(): void;
  /**
   * Called when a worker has returned `promise`, which may be the promise of this hook: the runtime handles its
   * rejection.
   */
  follow?(promise: Promise<unknown>): void;
  /** Whether it waits for a timer. */
  hasTimer?(): boolean;
  /** Makes its timer keep the process alive. */
  holdTimer?(): void;
}

/** A deferred cleanup; see `defers.ts`. */
export interface Defer {
  /** Starts the cleanup, in the async context of its `defer()`. */
  readonly open: () => void;
  readonly done: Promise<unknown>;
  readonly earlier: Defer | undefined;
  /** The name of the cleanup in reports comes from it: the function, the resource, or a name. */
  readonly label: object | string;
  /** Where it was deferred; recorded only while tracing is on. */
  readonly site: string | undefined;
}

/** The deadline of a node; see `deadline.ts`. */
export interface Deadline {
  readonly timeout: number | undefined;
  readonly left: number;
  readonly isOver: boolean;
  readonly instant: number;
}

/** Limits how many tasks of a scope run at once; see `concurrency-limit.ts`. */
export interface ConcurrencyLimit {
  /** How many may run at once. */
  readonly max: number;
  tryAcquire(): boolean;
  enqueue(node: ScopeNode, start: () => void): void;
  recount(tasks: readonly ScopeNode[]): void;
  leave(node: ScopeNode): void;
}

/** The failures that a scope has survived; see `survived-failures.ts`. */
export interface SurvivedFailures {
  restarts: number;
  kept: number;
  readonly lastError: string;
  readonly times: readonly number[];
  record(error: unknown): void;
}

/** Cancels nodes when a foreign signal aborts; see `signal-follower.ts`. */
export interface SignalFollower {
  remove(node: ScopeNode): void;
}

/**
 * A pending `join`, `close` or disposal of a handle:
 *
 * - `join` rejects with a failure or, if work was cut short, with the reason;
 * - `close` rejects only with a failure;
 * - `dispose` rejects only with a failure that was not received before.
 */
export interface Waiter extends PromiseObserver<void> {
  readonly kind: "join" | "close" | "dispose";
  /** The owner handle: a caller that waits for the scope still owns it. The exception to the invariant of `ScopeNode`. */
  readonly handle: object;
  graceTimer: LongTimer | undefined;
  /** Delivers the outcome of `node` to all its waiters. A bundle without handles does not contain it. */
  readonly deliver: (node: ScopeNode, waiters: readonly Waiter[]) => void;
}
