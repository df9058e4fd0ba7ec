import { detached } from "../errors/detach-stack.js";
import { optionNames } from "../errors/option-names.js";
import { checkDuration, checkOptionsObject } from "../errors/validate.js";
import { watchClose } from "../kernel/grace.js";
import { holdFailure, releaseFailure } from "../kernel/held-failures.js";
import { advance, cancel } from "../kernel/lifecycle.js";
import type { ScopeNode, Waiter } from "../kernel/node.js";
import { wait } from "../kernel/outcome.js";
import { cancelIdle } from "../kernel/reason.js";
import { isClosed, isLive, markClosedByOwner } from "../kernel/state.js";

/** The options of `close`. */
export interface CloseOptions {
  /** The `cause` of the reason. Default: none. */
  readonly cause?: unknown;
  /** Milliseconds after which this call rejects with a `StuckTasksError`. Default: the scope's own `grace`. */
  readonly grace?: number | undefined;
}

const closeOptionNames = /* @__PURE__ */ optionNames<CloseOptions>({ cause: true, grace: true });

/**
 * Records that the disposal method of a handle was read, by `await using`, `scope.use` or an `AsyncDisposableStack`. A
 * failure then waits for the disposal, instead of becoming an unhandled rejection while the block still runs.
 */
export function expectDisposal(node: ScopeNode): void {
  if (!isClosed(node)) node.ensureSettings().holdFailure = holdFailure;
}

/**
 * Cancels as an owner does: a later `spawn` throws instead of starting a cancelled child.
 *
 * @param api - The public function, whose caller the reason shows while tracing is on.
 */
export function closeByOwner(node: ScopeNode, cause?: unknown, api?: object): void {
  if (isLive(node)) markClosedByOwner(node);
  if (cancelIdle(node, cause)) return advance(node);
  cancel(node, "closed", cause, api);
}

/**
 * Closes or disposes of a scope for its owner handle.
 *
 * @param api - As for {@link closeByOwner}.
 */
export async function closeAndWait(
  node: ScopeNode,
  kind: "close" | "dispose",
  handle: object,
  options?: CloseOptions,
  api?: object,
): Promise<void> {
  try {
    if (options !== undefined) checkOptionsObject("close", options, closeOptionNames);
    checkDuration("close", "grace", options?.grace);
  } catch (error) {
    throw detached(error);
  }
  closeByOwner(node, options?.cause, api);
  const { promise, waiter } = endAndWait(node, kind, handle);
  if (waiter !== undefined && !isClosed(node)) watchClose(node, waiter, options?.grace);
  return promise;
}

/** Waits for the end of a scope, which may be near. */
export function endAndWait(node: ScopeNode, kind: Waiter["kind"], handle: object): ReturnType<typeof wait> {
  const waiting = wait(node, kind, handle);
  advance(node);
  releaseFailure(node);
  return waiting;
}
