import type { Scope } from "../kernel/scope.js";
import { nodeOf } from "../task/resolve.js";

/** How long, in ms, everybody together may compute before timers and I/O get their turn. */
const SLICE = 5;

/** So many calls use a slice up, too: under a fake clock that stands still, nobody else would ever have a turn. */
const CALLS = 10_000;

let sliceStart = 0;
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
 * @throws {TypeError} If `scope` is no scope (as a rejection).
 * @example
 * ```ts
 * const outcome = await withScope({ timeout: 20 }, async (scope) => {
 *   for (;;) await checkpoint(scope); // an endless computation
 * }).catch((error: unknown) => error);
 * console.log(isCancelled(outcome) && outcome.kind); // deadline
 * ```
 */
export async function checkpoint(scope: Scope): Promise<void> {
  const node = nodeOf("checkpoint", "scope", scope);
  node.throwIfCancelled();
  const used = Date.now() - sliceStart;
  if (used >= 0 && used < SLICE && ++calls < CALLS) return;
  await (nextSlice ??= beginSlice());
  node.throwIfCancelled();
}

async function beginSlice(): Promise<void> {
  await turn();
  nextSlice = undefined;
  calls = 0;
  sliceStart = Date.now();
}

/**
 * Resolves after one turn of the event loop. Not by a timer: browsers make those wait for 4 ms, and under fake ones
 * nobody would move the clock for it.
 */
const turn: () => Promise<void> = chooseTurn();

function chooseTurn(): () => Promise<void> {
  const { setImmediate, MessageChannel } = globalThis;
  if (typeof setImmediate === "function") return () => new Promise((resolve) => void setImmediate(resolve));
  if (typeof MessageChannel === "function") {
    return () =>
      new Promise((resolve) => {
        const { port1, port2 } = new MessageChannel();
        const onMessage = (): void => {
          port1.close();
          resolve();
        };
        Object.assign(port1, { onmessage: onMessage }); // the types of Node know no such property
        port2.postMessage(undefined);
      });
  }
  return () => new Promise((resolve) => setTimeout(resolve, 0));
}
