import { elapsed } from "../../kernel/age-clock.js";
import { checkDeadline } from "../../kernel/deadline.js";
import type { ScopeNode } from "../../kernel/node.js";
import { turn } from "../../kernel/platform.js";
import { failToBegin, markHandled, refuseIn } from "../../kernel/refusal.js";
import type { Scope } from "../../kernel/scope.js";
import { nodeOf } from "../../task/resolve.js";

/** How long, in ms, everybody together may compute before timers and I/O get their turn. */
const SLICE = 5;

/** So many calls use a slice up, too: under a fake clock that stands still, nobody else would ever have a turn. */
const CALLS = 10_000;

let sliceStart = -SLICE;
let calls = 0;

/** What all wait for who have used their slice up: they go on together, in one slice, and not in one each. */
let nextSlice: Promise<void> | undefined;

/**
 * A point at which a long computation can be cancelled, and lets others have a turn. Call it in a loop, as often as
 * you like: most calls only look at the clock.
 *
 * When the time slice (5 ms, shared by all who compute) is used up, it yields to the event loop, so that timers, I/O
 * and the cancellation that comes with them get their turn.
 *
 * **Cancellation:** rejects with the reason if `scope` is cancelled or its deadline has passed, before it yields or
 * meanwhile.
 *
 * **Failure:** none of its own.
 *
 * @param scope - Whose cancellation ends the computation.
 * @throws {CancelledError} The reason of `scope` (as a rejection).
 * @throws {ScopeClosedError} If `scope` has ended (as a rejection).
 * @throws {TypeError} If `scope` is no scope (as a rejection).
 * @example
 * ```ts
 * const outcome = await withScope({ timeout: 20 }, async (scope) => {
 *   for (;;) await checkpoint(scope); // an endless computation
 * }).catch((error: unknown) => error);
 * console.log(isCancelled(outcome) && outcome.kind); // deadline
 * ```
 */
export function checkpoint(scope: Scope): Promise<void> {
  try {
    const node = nodeOf("checkpoint", "scope", scope);
    if (!node.cancelled) checkDeadline(node);
    return refuseIn("checkpoint", node) ?? pass(node);
  } catch (error) {
    return failToBegin(error);
  }
}

function pass(node: ScopeNode): Promise<void> {
  const used = elapsed() - sliceStart;
  if (used < SLICE && ++calls < CALLS) return Promise.resolve();
  const passed: Promise<void> = (nextSlice ??= beginSlice()).then(() => {
    if (!node.cancelled) checkDeadline(node);
    if (node.cancelled) markHandled(passed);
    return refuseIn("checkpoint", node);
  });
  return passed;
}

async function beginSlice(): Promise<void> {
  await turn();
  nextSlice = undefined;
  calls = 0;
  sliceStart = elapsed();
}
