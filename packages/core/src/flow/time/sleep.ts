import { refuseOptions, requireDuration } from "../../errors/validate.js";
import { coarseElapsed } from "../../kernel/monotonic-clock.js";
import type { ScopeNode } from "../../kernel/node.js";
import { rejectBeforeStart, rejectUnlessLive } from "../../kernel/throttled-results.js";
import type { Scope } from "../../kernel/scope.js";
import { ScopedWait } from "../../kernel/scoped-wait.js";
import { clearTimer, setTimer, announceTimer } from "../../kernel/long-timer.js";
import { setTimerHold, type TimerHandle } from "../../kernel/timer-hold.js";
import { nodeOf } from "../../task/node-of.js";

/**
 * Waits for `ms` milliseconds.
 *
 * **Cancellation:** rejects with the reason as soon as `scope` is cancelled, immediately if it already is. The timer is
 * cleared.
 *
 * **Failure:** a sleep does not fail.
 *
 * @param scope - The scope that sleeps. Its cancellation ends the sleep.
 * @param ms - The duration. It may exceed 2^31-1. `Infinity` waits for the cancellation only, and does not keep the
 *   process alive.
 * @throws {CancelledError} The scope's reason (as a rejection).
 * @throws {ScopeClosedError} If `scope` has ended, or ends while this waits (as a rejection).
 * @throws {TypeError | RangeError} If `scope` is not a scope, or `ms` is negative or not a number (as a rejection).
 * @example
 * ```ts
 * await withScope({ timeout: 500 }, async (scope) => {
 *   await sleep(scope, 1);
 *   await sleep(scope, 60_000).catch((error) => console.log(isCancelled(error))); // true
 * });
 * ```
 */
export function sleep(scope: Scope, ms: number): Promise<void>;
export function sleep(scope: Scope, ms: number, extra?: unknown): Promise<void> {
  try {
    refuseOptions("sleep", extra);
    const node = nodeOf("sleep", "scope", scope);
    requireDuration("sleep", "ms", ms);
    return rejectUnlessLive("sleep", node) ?? new Sleep(node, ms).promise;
  } catch (error) {
    return rejectBeforeStart(error);
  }
}

class Sleep extends ScopedWait<void> {
  #timer: TimerHandle | undefined;
  /** On the clock of `coarseElapsed`. */
  readonly due: number;

  constructor(node: ScopeNode, ms: number) {
    super(node);
    this.due = coarseElapsed() + ms;
    if (ms !== Infinity) this.#start(ms);
  }

  get operation(): string {
    return "sleep";
  }

  #start(ms: number): void {
    this.#timer = setTimer(Sleep.#wake, ms, this);
    if (this.node !== undefined) announceTimer(this.#timer, this.node);
  }

  static #wake(this: void, sleep: Sleep, rest?: number): void {
    if (rest !== undefined) sleep.#start(rest);
    else sleep.succeed();
  }

  hasTimer(): boolean {
    return this.#timer !== undefined;
  }

  holdTimer(): void {
    setTimerHold(this.#timer, true);
  }

  protected override withdraw(): void {
    clearTimer(this.#timer);
  }
}
