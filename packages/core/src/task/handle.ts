import { isObject } from "../errors/user-values.js";
import { rejectBeforeStart } from "../kernel/throttled-results.js";
import { detached } from "../errors/detach-stack.js";
import type { CancelledError } from "../errors/cancelled.js";
import type { ContextKey } from "../kernel/context-key.js";
import { deferCleanup, useResource } from "../kernel/defers.js";
import { markEnding } from "../kernel/state.js";
import type { ScopeNode } from "../kernel/node.js";
import { inspectCustom, type Scope, type ScopeState } from "../kernel/scope.js";
import { cancel } from "../kernel/lifecycle.js";
import { callSite } from "../kernel/call-site.js";
import { scopeBrand } from "../errors/brands.js";
import { refuseOptions } from "../errors/validate.js";
import { closeAndWait, endAndWait, expectDisposal, type CloseOptions } from "./close.js";
import { setHandles } from "./node-of.js";

/**
 * The owner handle of a scope, which `createScope` returns. The code that holds it owns the lifetime of the scope; workers get
 * their own scopes. Its collection matters: when it is dropped while the scope is open, the scope is cancelled later with
 * kind `"orphaned"`, as a fallback.
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
   * call waits as the first does. Resolves also when the scope was cancelled in another way.
   *
   * Don't await it inside the scope: a scope can't end before the worker that waits for its end. Call `cancel()`
   * there.
   *
   * @throws The first failure of the scope (as a rejection).
   * @throws {StuckTasksError} When the grace period runs out (as a rejection). The scope keeps waiting.
   */
  close(options?: CloseOptions): Promise<void>;
  /** `close()`, but it does not reject with a failure that was already received. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Nothing in the runtime references a handle, except a pending `join` or `close` (rules 19 and 20). So every method
 * passes its node on, and none creates a closure over `this`. An error that is created below a method keeps the
 * method's receiver. So `detached` is called wherever an error is thrown while the scope continues.
 */
export class Handle implements ScopeHandle {
  readonly #node: ScopeNode;

  constructor(node: ScopeNode) {
    this.#node = node;
    if (!isPrepared) prepare();
  }

  static nodeOf(value: unknown): ScopeNode | undefined {
    return isObject(value) && #node in value ? value.#node : undefined;
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
    // oxlint-disable-next-line typescript/unbound-method -- only its identity matters
    return cancel(this.#node, "explicit", cause, Handle.prototype.cancel);
  }

  throwIfCancelled(): void {
    this.#node.throwIfCancelled();
  }

  onCancel(callback: (reason: CancelledError) => void, extra?: unknown): () => boolean {
    try {
      refuseOptions("onCancel", extra);
      return this.#node.onCancel(callback);
    } catch (error) {
      throw detached(error);
    }
  }

  defer(cleanup: () => unknown, extra?: unknown): void {
    try {
      refuseOptions("defer", extra);
      // oxlint-disable-next-line typescript/unbound-method -- only its identity matters
      deferCleanup(this.#node, cleanup, callSite(Handle.prototype.defer));
    } catch (error) {
      throw detached(error);
    }
  }

  use<R extends Disposable | AsyncDisposable>(resource: R, extra?: unknown): R {
    try {
      refuseOptions("use", extra);
      // oxlint-disable-next-line typescript/unbound-method -- as above
      return useResource(this.#node, resource, callSite(Handle.prototype.use));
    } catch (error) {
      throw detached(error);
    }
  }

  get<T>(key: ContextKey<T>): T {
    try {
      return this.#node.get(key);
    } catch (error) {
      throw detached(error);
    }
  }

  set<T>(key: ContextKey<T>, value: NoInfer<T>): void {
    try {
      this.#node.set(key, value);
    } catch (error) {
      throw detached(error);
    }
  }

  join(extra?: unknown): Promise<void> {
    try {
      refuseOptions("join", extra);
    } catch (error) {
      return rejectBeforeStart(detached(error));
    }
    const node = this.#node;
    markEnding(node);
    return endAndWait(node, "join", this).promise;
  }

  close(options?: CloseOptions): Promise<void> {
    // oxlint-disable-next-line typescript/unbound-method -- only its identity matters
    return closeAndWait(this.#node, "close", this, options, Handle.prototype.close);
  }

  /** Read when a block begins (`await using`), which makes the block the receiver of the scope's failures. */
  get [Symbol.asyncDispose](): () => Promise<void> {
    expectDisposal(this.#node);
    return disposeHandle;
  }

  static dispose(handle: Handle): Promise<void> {
    return closeAndWait(handle.#node, "dispose", handle);
  }

  toJSON(): { name: string; path: string; state: ScopeState } {
    return this.#node.toJSON();
  }
}

let isPrepared = false;

/**
 * Called for the first handle, not when the module is loaded: bundlers keep code with side effects at load, even if it
 * is unused.
 */
function prepare(): void {
  isPrepared = true;
  setHandles((value) => Handle.nodeOf(value));
  Object.defineProperty(Handle.prototype, scopeBrand, { value: true });
  Object.defineProperty(Handle.prototype, inspectCustom, {
    value(this: Handle) {
      return `ScopeHandle(${JSON.stringify(this.path)}, ${this.state})`;
    },
  });
}

function disposeHandle(this: Handle): Promise<void> {
  return Handle.dispose(this);
}
