import type { CancelledError } from "../errors/cancelled.js";
import type { ContextKey } from "../kernel/context.js";
import { CANCELLED, CLOSED, CLOSED_BY_OWNER, ENDING } from "../kernel/flags.js";
import { watchClose } from "../kernel/grace.js";
import type { ScopeNode } from "../kernel/node.js";
import { inspectCustom, scopeBrand, type Scope, type ScopeState } from "../kernel/scope.js";
import { advance, cancel } from "../kernel/settle.js";
import { wait, type Waiter } from "../kernel/wait.js";
import { checkBag, checkDuration } from "./options.js";

/** What `close` takes. */
export interface CloseOptions {
  /** What `reason.cause` will hold. */
  readonly cause?: unknown;
  /** Milliseconds after which this call rejects with a `StuckTasksError`. Default: the scope's own `grace`. */
  readonly grace?: number | undefined;
}

/**
 * The owner handle of a scope: what `createScope` returns. Whoever holds it owns the lifetime; workers get a
 * view of their own. It is the only object whose collection matters: when it is dropped while the scope is open,
 * the scope is cancelled with kind `"orphaned"`, at some time after, as a fallback.
 */
export interface ScopeHandle extends Scope, AsyncDisposable {
  /**
   * Waits for the children, which may spawn further ones as long as one is alive; then the scope is closed.
   *
   * @throws The first failure of the scope, or its reason if its work was cut short (as a rejection).
   */
  join(): Promise<void>;
  /**
   * Cancels the scope (kind `"closed"`) and waits until everything in it has settled and is cleaned up. A second
   * call waits as the first does. Resolves when the scope was merely cancelled, by whomever.
   *
   * Don't await it inside the scope: a scope can't end before the worker that waits for its end. Call `cancel()`
   * there.
   *
   * @throws The first failure of the scope (as a rejection).
   * @throws {StuckTasksError} When the grace period runs out (as a rejection). The scope keeps waiting.
   */
  close(options?: CloseOptions): Promise<void>;
  /** `close()`, but silent about a failure that somebody has received already. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Nothing in the runtime refers to a handle, save a pending `join` or `close` (contract, rules 19 and 20). So
 * every method hands its node on, and none makes a closure that mentions `this`.
 */
export class Handle implements ScopeHandle {
  readonly #node: ScopeNode;

  constructor(node: ScopeNode) {
    this.#node = node;
  }

  static nodeOf(value: unknown): ScopeNode | undefined {
    return typeof value === "object" && value !== null && #node in value ? value.#node : undefined;
  }

  static {
    Object.defineProperty(this.prototype, scopeBrand, { value: true });
    Object.defineProperty(this.prototype, inspectCustom, {
      value(this: Handle) {
        return `ScopeHandle(${JSON.stringify(this.path)}, ${this.state})`;
      },
    });
  }

  get name(): string {
    return this.#node.name;
  }

  get path(): string {
    return this.#node.path;
  }

  get state(): ScopeState {
    return this.#node.state;
  }

  get signal(): AbortSignal {
    return this.#node.signal;
  }

  get cancelled(): boolean {
    return this.#node.cancelled;
  }

  get reason(): CancelledError | undefined {
    return this.#node.reason;
  }

  get deadline(): number | undefined {
    return this.#node.deadline;
  }

  get errors(): readonly unknown[] {
    return this.#node.errors;
  }

  cancel(cause?: unknown): boolean {
    return this.#node.cancel(cause);
  }

  throwIfCancelled(): void {
    this.#node.throwIfCancelled();
  }

  onCancel(callback: (reason: CancelledError) => void): () => boolean {
    return this.#node.onCancel(callback);
  }

  defer(cleanup: () => unknown): void {
    this.#node.defer(cleanup);
  }

  use<R extends Disposable | AsyncDisposable>(resource: R): R {
    return this.#node.use(resource);
  }

  get<T>(key: ContextKey<T>): T {
    return this.#node.get(key);
  }

  set<T>(key: ContextKey<T>, value: T): void {
    this.#node.set(key, value);
  }

  join(): Promise<void> {
    const node = this.#node;
    node.flags |= ENDING;
    return endAndWait(node, "join", this).promise;
  }

  async close(options?: CloseOptions): Promise<void> {
    const node = this.#node;
    if (options !== undefined) checkBag("close", options);
    checkDuration("close", "grace", options?.grace);
    if ((node.flags & (CANCELLED | CLOSED)) === 0) node.flags |= CLOSED_BY_OWNER;
    cancel(node, "closed", options?.cause);
    const { promise, waiter } = endAndWait(node, "close", this);
    if (waiter !== undefined && (node.flags & CLOSED) === 0) watchClose(node, waiter, options?.grace);
    return promise;
  }

  [Symbol.asyncDispose](): Promise<void> {
    const node = this.#node;
    if ((node.flags & (CANCELLED | CLOSED)) === 0) node.flags |= CLOSED_BY_OWNER;
    cancel(node, "closed", undefined);
    const { promise, waiter } = endAndWait(node, "dispose", this);
    if (waiter !== undefined && (node.flags & CLOSED) === 0) watchClose(node, waiter, undefined);
    return promise;
  }

  toJSON(): { name: string; path: string; state: ScopeState } {
    return this.#node.toJSON();
  }
}

function endAndWait(node: ScopeNode, kind: Waiter["kind"], pin: object): ReturnType<typeof wait> {
  const waiting = wait(node, kind, pin);
  advance(node);
  return waiting;
}
