import { isObject } from "../errors/suppressed.js";
import { CLOSED, CUT, DELIVERED } from "./state.js";
import type { ScopeNode } from "./node.js";
import { holdProcessOpen, needsHold } from "./process-hold.js";
import { createPromised, type Promised } from "./promised.js";
import { isOwnDeadline, markHandled, yieldBefore } from "./refusal.js";
import type { LongTimer } from "./long-timer.js";

/**
 * Somebody who waits for a handle's scope. `join` rejects with a failure or, when work was cut short, with the
 * reason; `close` only with a failure; `dispose` only with a failure that nobody else has received.
 */
export interface Waiter extends Promised<void> {
  readonly kind: "join" | "close" | "dispose";
  /** The owner handle: who waits for its scope still owns it. The one exception to the invariant of node.ts. */
  readonly pin: object;
  graceTimer: LongTimer | undefined;
}

/** Waits for `node` to settle. The returned waiter is `undefined` if it has already. */
export function wait(
  node: ScopeNode,
  kind: Waiter["kind"],
  pin: object,
): { promise: Promise<void>; waiter?: Waiter } {
  const isClosed = (node.flags & CLOSED) !== 0;
  const promised = createPromised<void>();
  const waiter: Waiter = {
    kind,
    pin,
    graceTimer: undefined,
    ...(!isClosed && needsHold(node) ? held(promised) : promised),
  };
  const promise = waiter.promise;
  if (isClosed) {
    deliver(node, [waiter]);
    return { promise: yieldBefore(promise, node.rarely?.errors === undefined && !isOwnDeadline(node)) };
  }
  (node.settings().waiters ??= new Set()).add(waiter);
  return { promise, waiter };
}

/** Keeps the process alive until it is settled, since the timers of the scope do not. */
function held(promised: Promised<void>): Promised<void> {
  const release = holdProcessOpen();
  return {
    ...promised,
    resolve: (value) => {
      release();
      promised.resolve(value);
    },
    reject: (error) => {
      release();
      promised.reject(error);
    },
  };
}

/** Tells those who waited how `node` ended. A disposal stays quiet about a failure that was delivered before. */
export function deliver(node: ScopeNode, waiters: readonly Waiter[]): void {
  const errors = node.rarely?.errors;
  if (errors !== undefined && waiters.some((waiter) => waiter.kind !== "dispose")) node.flags |= DELIVERED;
  for (const { kind, resolve, reject, promise, graceTimer } of waiters) {
    graceTimer?.clear();
    if (errors !== undefined) {
      const unreceived = kind === "dispose" ? firstUnreceived(node, errors) : firstOf(errors);
      if (unreceived === undefined) resolve(undefined);
      else reject(unreceived.error);
      node.flags |= DELIVERED;
    } else if (kind === "join" && (node.flags & CUT) !== 0) {
      reject(node.reason);
      if (!isOwnDeadline(node)) markHandled(promise);
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
 * What a disposal rejects with. A failure that somebody has received by awaiting the task in which it happened is not news:
 * a block that lets it through must throw the error itself, and not a `SuppressedError` that holds it twice. The failures
 * after a first one that was received are in `suppressed(error)`.
 */
function firstUnreceived(node: ScopeNode, errors: ReadonlyMap<unknown, ScopeNode>): Failure | undefined {
  if ((node.flags & DELIVERED) !== 0) return undefined;
  for (const [error, origin] of errors) {
    if (!isReceived(node, origin)) return { error };
    if (isObject(error)) return undefined;
  }
  return undefined;
}

/** Whether somebody has awaited the task in which a failure of `node` happened, or one that it went through. */
function isReceived(node: ScopeNode, origin: ScopeNode): boolean {
  for (let at: ScopeNode | undefined = origin; at !== undefined && at !== node; at = at.parent)
    if ((at.flags & DELIVERED) !== 0) return true;
  return false;
}
