import type { CancelledError } from "../errors/cancelled.js";
import { describe } from "../errors/describe.js";
import { addHook, Hook, removeHook } from "../kernel/hook.js";
import type { ScopeNode } from "../kernel/node.js";
import type { Scope } from "../kernel/scope.js";
import { MAX_DELAY, type TimerHandle } from "../kernel/timer.js";
import { checkDuration } from "../task/options.js";
import { nodeOf } from "../task/resolve.js";

/**
 * Waits for `ms` milliseconds.
 *
 * **Cancellation:** rejects with the reason as soon as `scope` is cancelled, at once if it already is; the timer
 * is cleared.
 *
 * **Failure:** none of its own.
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
export function sleep(scope: Scope, ms: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const node = nodeOf("sleep", "scope", scope);
    if (ms === undefined) throw new TypeError(`sleep: ms must be a number, got ${describe(ms)}`);
    checkDuration("sleep", "ms", ms);
    if (node.reason !== undefined) return reject(node.reason);
    const pause = new Pause(node, resolve, reject);
    addHook(node, pause);
    if (ms !== Infinity) pause.start(ms);
  });
}

/** Hook, timer and promise in one object: a hundred thousand sleepers are not rare. */
class Pause extends Hook {
  readonly #node: ScopeNode;
  readonly #resolve: () => void;
  readonly #reject: (reason: CancelledError) => void;
  #timer: TimerHandle | undefined = undefined;

  constructor(node: ScopeNode, resolve: () => void, reject: (reason: CancelledError) => void) {
    super();
    this.#node = node;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  start(ms: number): void {
    const step = Math.min(ms, MAX_DELAY);
    this.#timer = setTimeout(Pause.#wake, step, this, ms - step);
  }

  static #wake(this: void, pause: Pause, rest: number): void {
    if (rest > 0) return pause.start(rest);
    removeHook(pause.#node, pause);
    pause.#resolve();
  }

  run(reason: CancelledError): void {
    clearTimeout(this.#timer);
    this.#reject(reason);
  }
}
