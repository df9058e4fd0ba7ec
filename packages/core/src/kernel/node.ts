import type { CancelledError } from "../errors/cancelled.js";
import { scopeBrand } from "../errors/brands.js";
import { requireFunction } from "../errors/validate.js";
import { burstTime } from "./age-clock.js";
import { getContext, setContext, type ContextKey } from "./context.js";
import { checkDeadline, effectiveDeadline } from "./deadline.js";
import { deferCleanup, useResource } from "./defers.js";
import { BACKGROUND, CANCELLED, CLOSED, ENDING, INHERITED, NOTIFYING } from "./state.js";
import { addHook, CallbackHook, removeHook, type Hook } from "./cancel-hooks.js";
import { Rare, Settings } from "./rare.js";
import { pathOf } from "./path.js";
import { cancel, notifyLate } from "./lifecycle.js";
import { inspectCustom, type Scope, type ScopeState } from "./scope.js";
import { nameOf } from "./name.js";
import type { Observer } from "./promised.js";
import { callSite } from "./call-site.js";
import { TurnBudget } from "./turn-budget.js";

/** A name, or the function that has it: reading `Function.name` costs as much as a promise does. */
// eslint-disable-next-line @typescript-eslint/no-unsafe-function-type -- only its name is read
export type Label = string | Function;

/**
 * A node of the tree, and at the same time the `Scope` view that its worker gets.
 *
 * THE INVARIANT (rule 19): nothing reachable from here may reach an owner handle, save the entries of
 * `rare.waiters`, which pin it on purpose while a `join` or `close` is pending. The handle points at the node,
 * never the other way.
 *
 * All fields are set in the constructor, in one order, so that all nodes have one shape.
 */
export class ScopeNode implements Scope {
  // What cancelling a wide tree reads comes first: it has to fetch each node from memory.
  flags: number;
  next: ScopeNode | undefined = undefined;
  first: ScopeNode | undefined = undefined;
  hooks: Hook | undefined = undefined;
  rarely: Rare | undefined = undefined;
  readonly parent: ScopeNode | undefined;
  previous: ScopeNode | undefined = undefined;
  /** Only where a cancellation began, and where it was looked up from afar; see {@link reason}. */
  ownReason: CancelledError | undefined = undefined;
  /** Who waits for the outcome of a task or a `withScope`. */
  observer: Observer | undefined = undefined;
  /** What the body returned. */
  value: unknown = undefined;
  label: Label;
  readonly startedAt: number;

  constructor(parent: ScopeNode | undefined, label: Label, flags: number) {
    this.flags = parent === undefined ? flags : flags | (parent.flags & INHERITED);
    this.parent = parent;
    this.label = label;
    this.startedAt = burstTime();
  }

  rare(): Rare {
    return (this.rarely ??= new Rare());
  }

  settings(): Settings {
    return (this.rare().settings ??= new Settings());
  }

  get name(): string {
    this.dropWorker();
    return this.label as string;
  }

  /** Keeps the worker's name and forgets the worker, so that a task somebody keeps does not keep its closure. */
  dropWorker(): void {
    if (typeof this.label === "string") return;
    this.label = nameOf(this.label);
  }

  get path(): string {
    return pathOf(this);
  }

  get state(): ScopeState {
    const flags = this.flags;
    if ((flags & CLOSED) !== 0) return "closed";
    if ((flags & CANCELLED) !== 0) return "cancelling";
    return (flags & ENDING) !== 0 ? "closing" : "open";
  }

  get signal(): AbortSignal {
    const rare = this.rare();
    if (rare.controller === undefined) {
      rare.controller = new AbortController();
      // While its cancellation is under way, the signal's turn is still to come.
      if ((this.flags & (CANCELLED | NOTIFYING)) === CANCELLED) rare.controller.abort(this.reason);
    }
    return rare.controller.signal;
  }

  get cancelled(): boolean {
    return (this.flags & CANCELLED) !== 0;
  }

  /**
   * The nearest ancestor's that has one: whatever lies between was cancelled with it. Not copied to every node,
   * because a pointer from an old object to a new one costs the collector more than all else that cancelling a
   * node does. A long way is remembered, so that a deep tree is not walked again from every level.
   */
  get reason(): CancelledError | undefined {
    if ((this.flags & CANCELLED) === 0) return undefined;
    let at: ScopeNode = this;
    while (at.ownReason === undefined) at = at.parent as ScopeNode;
    const reason = at.ownReason;
    for (let node: ScopeNode = this; node !== at && node.parent !== at; node = node.parent as ScopeNode) {
      node.ownReason = reason;
    }
    return reason;
  }

  get deadline(): number | undefined {
    return effectiveDeadline(this)?.instant;
  }

  get errors(): readonly unknown[] {
    const errors = this.rarely?.errors;
    return errors === undefined ? [] : [...errors.keys()];
  }

  cancel(cause?: unknown): boolean {
    return cancel(this, "explicit", cause);
  }

  throwIfCancelled(): void {
    if ((this.flags & CANCELLED) === 0) checkDeadline(this);
    if ((this.flags & CANCELLED) !== 0) throw this.reason as CancelledError;
  }

  onCancel(callback: (reason: CancelledError) => void): () => boolean {
    requireFunction("onCancel", "callback", callback);
    const hook = new CallbackHook(callback);
    if ((this.flags & (CANCELLED | NOTIFYING)) === CANCELLED) return notifyAtOnce(this, hook);
    if ((this.flags & CLOSED) === 0) addHook(this, hook);
    return () => removeHook(this, hook);
  }

  defer(cleanup: () => unknown): void {
    // oxlint-disable-next-line typescript/unbound-method -- only its identity matters
    deferCleanup(this, cleanup, callSite(ScopeNode.prototype.defer));
  }

  use<R extends Disposable | AsyncDisposable>(resource: R): R {
    // oxlint-disable-next-line typescript/unbound-method -- as above
    return useResource(this, resource, callSite(ScopeNode.prototype.use));
  }

  get<T>(key: ContextKey<T>): T {
    return getContext(this, key);
  }

  set<T>(key: ContextKey<T>, value: NoInfer<T>): void {
    setContext(this, key, value);
  }

  /** What `JSON.stringify` and loggers print instead of walking the tree. */
  toJSON(): { name: string; path: string; state: ScopeState } {
    return { name: this.name, path: this.path, state: this.state };
  }

  static {
    Object.defineProperty(this.prototype, scopeBrand, { value: true });
    Object.defineProperty(this.prototype, inspectCustom, {
      value(this: ScopeNode) {
        return `Scope(${JSON.stringify(this.path)}, ${this.state})`;
      },
    });
  }
}

/** A worker that waits by callbacks of its own, again and again, must not keep others from their turn, either (rule 13). */
const lateCallbacks = new TurnBudget();

/** Tells a hook at once that its node is cancelled. From the hundredth one in a turn of the event loop on, with a later turn. */
function notifyAtOnce(node: ScopeNode, hook: Hook): () => boolean {
  const turnEnd = lateCallbacks.take();
  if (turnEnd === undefined) {
    notifyLate(node, hook);
    return () => false;
  }
  let isDue = true;
  void turnEnd.then(() => {
    if (isDue) notifyLate(node, hook);
    isDue = false;
  });
  return () => {
    const wasDue = isDue;
    isDue = false;
    return wasDue;
  };
}

/** What `background` is; see there. */
export const backgroundNode: ScopeNode = new ScopeNode(undefined, "background", BACKGROUND);
