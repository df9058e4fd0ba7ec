import type { CancelledError } from "../errors/cancelled.js";
import { scopeBrand } from "../errors/brands.js";
import { refuseOptions, requireFunction } from "../errors/validate.js";
import { callSite } from "./call-site.js";
import { addHook, CallbackHook, removeHook, type Hook } from "./cancel-hooks.js";
import type { ContextKey } from "./context-key.js";
import { contextValues } from "./context.js";
import { registerCopy } from "./package-copies.js";
import { checkDeadline, effectiveDeadline } from "./deadline.js";
import { deferCleanup, useResource } from "./defers.js";
import { finishInterruptedSteps } from "./interrupted-steps.js";
import { advance, cancel, notifyLateHook } from "./lifecycle.js";
import { recordCancelCheck, ScopeNode } from "./node.js";
import { signals } from "./signal-controller.js";
import { inspectCustom, type ScopeState } from "./scope.js";
import { isCancelled, isClosed, wasNotified, initialBackground } from "./state.js";
import { TurnBudget } from "./turn-budget.js";

/**
 * The only class of nodes: the record of `node.ts` with the operations of `Scope`. Each operation calls a file below.
 */
export class ScopeView extends ScopeNode {
  get signal(): AbortSignal {
    const extras = this.ensureExtras();
    if (extras.controller === undefined) {
      extras.controller = signals.make();
      // During the notification, the cancellation aborts the signal itself.
      if (wasNotified(this)) extras.controller.abort(this.reason);
    }
    return extras.controller.signal;
  }

  get deadline(): number | undefined {
    return effectiveDeadline(this)?.instant;
  }

  cancel(cause?: unknown): boolean {
    // oxlint-disable-next-line typescript/unbound-method -- only its identity matters
    return cancel(this, "explicit", cause, ScopeView.prototype.cancel);
  }

  throwIfCancelled(): void {
    recordCancelCheck(this);
    if (!isCancelled(this)) checkDeadline(this);
    if (isCancelled(this)) throw this.reason as CancelledError;
  }

  onCancel(callback: (reason: CancelledError) => void, extra?: unknown): () => boolean {
    refuseOptions("onCancel", extra);
    requireFunction("onCancel", "callback", callback);
    const hook = new CallbackHook(callback);
    if (wasNotified(this)) return notifyAtOnce(this, hook);
    if (!isClosed(this)) addHook(this, hook);
    return () => removeHook(this, hook);
  }

  defer(cleanup: () => unknown, extra?: unknown): void {
    refuseOptions("defer", extra);
    // oxlint-disable-next-line typescript/unbound-method -- only its identity matters
    deferCleanup(this, cleanup, callSite(ScopeView.prototype.defer));
  }

  use<R extends Disposable | AsyncDisposable>(resource: R, extra?: unknown): R {
    refuseOptions("use", extra);
    // oxlint-disable-next-line typescript/unbound-method -- as above
    return useResource(this, resource, callSite(ScopeView.prototype.use));
  }

  get<T>(key: ContextKey<T>): T {
    return contextValues("get", key).get(this, key);
  }

  set<T>(key: ContextKey<T>, value: NoInfer<T>): void {
    contextValues("set", key).set(this, key, value);
  }

  /** `JSON.stringify` and loggers print this instead of walking the tree. */
  toJSON(): { name: string; path: string; state: ScopeState } {
    return { name: this.name, path: this.path, state: this.state };
  }

  static {
    Object.defineProperty(this.prototype, scopeBrand, { value: true });
    Object.defineProperty(this.prototype, inspectCustom, {
      value(this: ScopeView) {
        return `Scope(${JSON.stringify(this.path)}, ${this.state})`;
      },
    });
  }
}

/** A worker that registers callbacks in a loop must not block the event loop (rule 13). */
const lateCallbacks = new TurnBudget();

/**
 * Notifies a hook that was added after the cancellation: immediately, or in a later turn after a hundred in one turn.
 */
function notifyAtOnce(node: ScopeNode, hook: Hook): () => boolean {
  const turnEnd = lateCallbacks.take();
  if (turnEnd === undefined) {
    notifyLateHook(node, hook);
    return () => false;
  }
  let isDue = true;
  void turnEnd.then(() => {
    if (isDue) notifyLateHook(node, hook);
    isDue = false;
  });
  return () => {
    const wasDue = isDue;
    isDue = false;
    return wasDue;
  };
}

/** The node above all roots; see `background`. */
export const backgroundNode: ScopeNode = new ScopeView(undefined, "background", initialBackground);

registerCopy(backgroundNode);
finishInterruptedSteps(advance);
