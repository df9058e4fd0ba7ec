import { isObject } from "../errors/user-values.js";
import { taskInfo } from "./diagnostics.js";
import type { ScopeNode, Settings, Waiter } from "./node.js";
import { keepProcessAlive, hasUnrefedTimers } from "./process-hold.js";
import { withResolvers, type Observer, type PromiseObserver } from "./observer.js";
import { hasExceededOwnTimeout, markHandled, throttle } from "./throttled-results.js";
import { isClosed, isCutShort, isDelivered, isTask, markDelivered } from "./state.js";

// Delivers a node's outcome to the pending calls of `join`, `close` and dispose. Delivers its failures to the option
// `onError`, otherwise to the platform as unhandled rejections. (`lifecycle.ts` calls the observer of a node.)

/** Waits for `node` to settle. The returned waiter is `undefined` if the node has settled already. */
export function wait(
  node: ScopeNode,
  kind: Waiter["kind"],
  handle: object,
): { promise: Promise<void>; waiter?: Waiter } {
  const hasEnded = isClosed(node);
  const { promise, resolve, reject } =
    !hasEnded && hasUnrefedTimers(node) ? withProcessHold(withResolvers<void>()) : withResolvers<void>();
  const waiter: Waiter = { kind, handle, graceTimer: undefined, promise, resolve, reject, deliver };
  if (hasEnded) {
    deliver(node, [waiter]);
    return { promise: throttle(promise, node.extras?.errors === undefined && !hasExceededOwnTimeout(node)) };
  }
  (node.ensureSettings().waiters ??= []).push(waiter);
  return { promise, waiter };
}

/** Keeps the process alive until the promise settles, for a scope whose timers do not. */
function withProcessHold(resolvers: PromiseObserver<void>): PromiseObserver<void> {
  const release = keepProcessAlive();
  return {
    ...resolvers,
    resolve: (value) => {
      release();
      resolvers.resolve(value);
    },
    reject: (error) => {
      release();
      resolvers.reject(error);
    },
  };
}

/** Delivers the outcome of `node` to its waiters. A disposal does not reject with a failure that was delivered before. */
function deliver(node: ScopeNode, waiters: readonly Waiter[]): void {
  const errors = node.extras?.errors;
  if (errors !== undefined && waiters.some((waiter) => waiter.kind !== "dispose")) markDelivered(node);
  for (const { kind, resolve, reject, promise, graceTimer } of waiters) {
    graceTimer?.clear();
    if (errors !== undefined) {
      const unreceived = kind === "dispose" ? firstUnreceived(node, errors) : firstOf(errors);
      if (unreceived === undefined) resolve(undefined);
      else reject(unreceived.error);
      markDelivered(node);
    } else if (kind === "join" && isCutShort(node)) {
      reject(node.reason);
      if (!hasExceededOwnTimeout(node)) markHandled(promise);
    } else {
      resolve(undefined);
    }
  }
}

interface Failure {
  readonly error: unknown;
}

function firstOf(errors: ReadonlyMap<unknown, ScopeNode>): Failure {
  const [error] = errors.keys();
  return { error };
}

/**
 * Returns the failure that a disposal rejects with. It skips a failure that code has received by awaiting the task in
 * which it happened. A block that rethrows it must throw the error itself, not a `SuppressedError` that holds it twice.
 * If the first failure was received, `suppressed(error)` lists the later ones.
 */
function firstUnreceived(node: ScopeNode, errors: ReadonlyMap<unknown, ScopeNode>): Failure | undefined {
  if (isDelivered(node)) return undefined;
  for (const [error, origin] of errors) {
    if (!isReceived(node, origin)) return { error };
    if (isObject(error)) return undefined;
  }
  return undefined;
}

/** Whether the task in which a failure of `node` happened was awaited, or a task between that task and `node`. */
function isReceived(node: ScopeNode, origin: ScopeNode): boolean {
  for (let at: ScopeNode | undefined = origin; at !== undefined && at !== node; at = at.parent)
    if (isDelivered(at)) return true;
  return false;
}

/** The failure that `node` rejects with. */
export function firstError(node: ScopeNode): unknown {
  return node.extras?.errors?.keys().next().value;
}

/**
 * Rejects with the reason of `node`. The promise of a scope is marked as handled, unless the scope exceeded its own
 * timeout: only its caller can handle that. The promise of a task exists only if the task is awaited, so it is not
 * marked.
 */
export function rejectWithReason(node: ScopeNode, observer: Observer): void {
  observer.reject(node.reason);
  const { promise } = observer;
  if (promise !== undefined && !isTask(node) && !hasExceededOwnTimeout(node)) markHandled(promise);
}

/**
 * Hands `error` to the nearest `onError` on the way from `from` to the root; without one it becomes an
 * ordinary unhandled rejection. A handler that throws has not handled it: both errors surface.
 */
export function report(from: ScopeNode, error: unknown, origin: ScopeNode): void {
  const onError = nearestOnError(from);
  if (onError === undefined) return rejectUnhandled(error);
  try {
    onError(error, taskInfo(origin));
  } catch (thrown) {
    rejectUnhandled(error);
    if (thrown !== error) rejectUnhandled(thrown);
  }
}

/** Whether {@link report} would find an `onError`. */
export function hasOnError(from: ScopeNode): boolean {
  return nearestOnError(from) !== undefined;
}

function nearestOnError(from: ScopeNode): Settings["onError"] {
  for (let at: ScopeNode | undefined = from; at !== undefined; at = at.parent) {
    const onError = at.extras?.settings?.onError;
    if (onError !== undefined) return onError;
  }
  return undefined;
}

/** Reports every failure of `node`, which has no other receiver. */
export function reportAll(from: ScopeNode, node: ScopeNode): void {
  const errors = node.extras?.errors ?? new Map<unknown, ScopeNode>();
  for (const [error, origin] of errors) report(from, error, origin);
}

/** Makes `error` an ordinary unhandled rejection. */
export function rejectUnhandled(error: unknown): void {
  void Promise.reject(error);
}
