import { refuseOptions } from "../../errors/validate.js";
import { elapsed } from "../../kernel/monotonic-clock.js";
import { checkDeadline } from "../../kernel/deadline.js";
import { recordCancelCheck, type ScopeNode } from "../../kernel/node.js";
import { turn } from "../../kernel/platform.js";
import { rejectBeforeStart, markHandled, rejectUnlessLive } from "../../kernel/throttled-results.js";
import type { Scope } from "../../kernel/scope.js";
import { nodeOf } from "../../task/node-of.js";
import { MAX_CALLS, SLICE_MS } from "../constants.js";

let sliceStart = -SLICE_MS;
let calls = 0;

/** Shared by all computations that wait for the next slice: they continue together in one slice. */
let nextSlice: Promise<void> | undefined;

/**
 * Marks a point at which a long computation can be cancelled, and yields to the event loop from time to time.
 *
 * Call it in a loop, as often as you like: most calls only read the clock. When the time slice is used up (5 ms,
 * shared by all computations), it yields to the event loop. Then timers and I/O run, and with them the code that may
 * cancel.
 *
 * **Cancellation:** rejects with the reason if `scope` is cancelled or its deadline has passed, before or during the yield.
 *
 * **Failure:** a checkpoint does not fail.
 *
 * @param scope - The scope of the computation. Its cancellation ends it.
 * @throws {CancelledError} The reason of `scope` (as a rejection).
 * @throws {ScopeClosedError} If `scope` has ended (as a rejection).
 * @throws {TypeError} If `scope` is not a scope (as a rejection).
 * @example
 * ```ts
 * const outcome = await withScope({ timeout: 20 }, async (scope) => {
 *   for (;;) await checkpoint(scope); // an endless computation
 * }).catch((error: unknown) => error);
 * console.log(isCancelled(outcome) && outcome.kind); // deadline
 * ```
 */
export function checkpoint(scope: Scope): Promise<void>;
export function checkpoint(scope: Scope, extra?: unknown): Promise<void> {
  try {
    refuseOptions("checkpoint", extra);
    const node = nodeOf("checkpoint", "scope", scope);
    recordCancelCheck(node);
    if (!node.cancelled) checkDeadline(node);
    return rejectUnlessLive("checkpoint", node) ?? resolveOrYield(node);
  } catch (error) {
    return rejectBeforeStart(error);
  }
}

function resolveOrYield(node: ScopeNode): Promise<void> {
  const used = elapsed() - sliceStart;
  if (used < SLICE_MS && ++calls < MAX_CALLS) return Promise.resolve();
  const passed: Promise<void> = (nextSlice ??= beginSlice()).then(() => {
    if (!node.cancelled) checkDeadline(node);
    if (node.cancelled) markHandled(passed);
    return rejectUnlessLive("checkpoint", node);
  });
  return passed;
}

async function beginSlice(): Promise<void> {
  await turn();
  nextSlice = undefined;
  calls = 0;
  sliceStart = elapsed();
}
