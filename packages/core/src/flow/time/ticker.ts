import { outOfRange, refuseOptions, requireDuration } from "../../errors/validate.js";
import { adjustedInstant, coarseElapsed, elapsed } from "../../kernel/monotonic-clock.js";
import type { ScopeNode } from "../../kernel/node.js";
import { calendarNow } from "../../kernel/platform.js";
import { done, throttledDone, rejectUnlessLive } from "../../kernel/throttled-results.js";
import type { Scope } from "../../kernel/scope.js";
import { ScopedWait } from "../../kernel/scoped-wait.js";
import { LongTimer } from "../../kernel/long-timer.js";
import { nodeOf } from "../../task/node-of.js";

/**
 * Ticks every `ms` milliseconds: an async iterator whose values are the instants of the ticks in epoch ms, as with Go's
 * `time.Ticker`.
 *
 * The schedule begins with this call, and a slow loop body does not shift it. A tick that comes while no `next()` is
 * pending is dropped. Only a pending `next()` has a timer, so a ticker that is no longer read costs nothing.
 *
 * **Cancellation:** when `scope` is cancelled, `next()` rejects with the reason, immediately if it already is, and the
 * timer is cleared. `next()` rejects with `ScopeClosedError` when `scope` ends.
 *
 * **Failure:** a ticker does not fail.
 *
 * @param scope - The scope that waits. Its cancellation ends the ticker.
 * @param ms - The time between two ticks; more than 0.
 * @returns An iterator for `for await`.
 * @throws {TypeError | RangeError} If `scope` is not a scope, or `ms` is not such a number.
 * @example
 * ```ts
 * await withScope(async (scope) => {
 *   let ticks = 0;
 *   for await (const instant of ticker(scope, 2)) {
 *     console.log(new Date(instant).toISOString());
 *     if (++ticks === 3) break;
 *   }
 * });
 * ```
 */
export function ticker(scope: Scope, ms: number): AsyncIterableIterator<number>;
export function ticker(scope: Scope, ms: number, extra?: unknown): AsyncIterableIterator<number> {
  refuseOptions("ticker", extra);
  const node = nodeOf("ticker", "scope", scope);
  requireDuration("ticker", "ms", ms);
  if (ms === 0) throw outOfRange("ticker", "ms must be more than 0", ms);
  return new Ticker(node, ms);
}

type Result = IteratorResult<number, undefined>;
class Ticker implements AsyncIterableIterator<number, undefined> {
  readonly #node: ScopeNode;
  readonly #ms: number;
  readonly #start: number = elapsed();
  /** The instant of the start by the system clock. */
  #epoch: number = calendarNow();
  /** The number of the last tick that a `next()` has waited for. */
  #last = 0;
  readonly #iteration: Iteration = { ended: false, pending: new Set() };

  constructor(node: ScopeNode, ms: number) {
    this.#node = node;
    this.#ms = ms;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Result> {
    const iteration = this.#iteration;
    if (iteration.ended) return throttledDone();
    const refused = rejectUnlessLive("ticker", this.#node);
    if (refused !== undefined) {
      iteration.ended = true;
      return refused;
    }
    const now = elapsed();
    // A timer may fire a little early. The same tick must not be delivered twice.
    this.#last = Math.max(this.#last, Math.floor((now - this.#start) / this.#ms)) + 1;
    const passed = this.#last * this.#ms;
    const delay = Math.ceil(this.#start + passed - now);
    return new Tick(this.#node, iteration, delay, () => this.#instant(passed)).promise;
  }

  /** The instant of a tick by the system clock, which may have been changed since the start. */
  #instant(passed: number): number {
    const expected = this.#epoch + passed;
    const instant = adjustedInstant(this.#start + passed - elapsed(), expected);
    this.#epoch += instant - expected;
    return instant;
  }

  return(): Promise<Result> {
    this.#iteration.ended = true;
    for (const tick of this.#iteration.pending) tick.returned();
    return Promise.resolve(done);
  }
}

interface Iteration {
  ended: boolean;
  readonly pending: Set<Tick>;
}

/** A pending `next()`. */
class Tick extends ScopedWait<Result> {
  readonly #iteration: Iteration;
  readonly #timer: LongTimer | undefined;
  /** On the clock of `coarseElapsed`. */
  readonly due: number;

  constructor(node: ScopeNode, iteration: Iteration, delay: number, instant: () => number) {
    super(node);
    this.#iteration = iteration;
    iteration.pending.add(this);
    this.due = coarseElapsed() + delay;
    if (delay !== Infinity)
      this.#timer = new LongTimer(delay, () => this.#finish({ done: false, value: instant() }), node);
  }

  get operation(): string {
    return "ticker";
  }

  hasTimer(): boolean {
    return this.#timer !== undefined;
  }

  holdTimer(): void {
    this.#timer?.hold(true);
  }

  returned(): void {
    this.#timer?.clear();
    this.#finish(done);
  }

  #finish(result: Result): void {
    this.#iteration.pending.delete(this);
    this.succeed(result);
  }

  protected override withdraw(): void {
    this.#timer?.clear();
    this.#iteration.ended = true;
    this.#iteration.pending.delete(this);
  }
}
