import type { CancelledError } from "../errors/cancelled.js";
import { describe } from "../errors/describe.js";
import { addHook, Hook, removeHook } from "../kernel/hook.js";
import type { ScopeNode } from "../kernel/node.js";
import type { Scope } from "../kernel/scope.js";
import { LongTimer } from "../kernel/timer.js";
import { checkDuration } from "../task/options.js";
import { nodeOf } from "../task/resolve.js";

/**
 * Waits for `ms` milliseconds.
 *
 * **Cancellation:** rejects with the reason as soon as `scope` is cancelled, at once if it already is; the timer
 * is cleared.
 *
 * @param scope - Whose cancellation ends the sleep.
 * @param ms - How long. Beyond 2^31-1 works; `Infinity` waits for the cancellation only and keeps no process
 *   alive.
 * @throws {CancelledError} The scope's reason (as a rejection).
 * @throws {TypeError | RangeError} If `scope` is no scope, or `ms` negative or no number (as a rejection).
 * @example
 * ```ts
 * await withScope({ timeout: 20 }, async (scope) => {
 *   await sleep(scope, 1);
 *   await sleep(scope, 60_000).catch((error) => console.log(isCancelled(error))); // true
 * });
 * ```
 */
export async function sleep(scope: Scope, ms: number): Promise<void> {
  const node = nodeOf("sleep", "scope", scope);
  if (ms === undefined) throw new TypeError(`sleep: ms must be a number, got ${describe(ms)}`);
  checkDuration("sleep", "ms", ms);
  return pause(node, ms);
}

function pause(node: ScopeNode, ms: number): Promise<void> {
  return new Promise((resolve, reject) => {
    if (node.cancelled) return reject(node.reason);
    new Pause(node, ms, resolve, reject);
  });
}

class Pause extends Hook {
  readonly #timer: LongTimer | undefined;
  readonly #resolve: () => void;
  readonly #reject: (reason: CancelledError) => void;

  constructor(node: ScopeNode, ms: number, resolve: () => void, reject: (reason: CancelledError) => void) {
    super();
    this.#resolve = resolve;
    this.#reject = reject;
    if (ms !== Infinity) this.#timer = new LongTimer(ms, () => this.#wake());
    addHook(node, this);
  }

  #wake(): void {
    removeHook(this);
    this.#resolve();
  }

  run(reason: CancelledError): void {
    this.#timer?.clear();
    this.#reject(reason);
  }
}
