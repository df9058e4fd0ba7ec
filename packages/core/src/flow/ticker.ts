import type { CancelledError } from "../errors/cancelled.js";
import { describe } from "../errors/describe.js";
import { addHook, Hook, removeHook } from "../kernel/hook.js";
import type { ScopeNode } from "../kernel/node.js";
import type { Scope } from "../kernel/scope.js";
import { LongTimer } from "../kernel/timer.js";
import { checkDuration } from "../task/options.js";
import { nodeOf } from "../task/resolve.js";

/**
 * Ticks every `ms` milliseconds: an async iterator for `for await`, whose values are the instants of the ticks in
 * epoch ms, as Go's are.
 *
 * It keeps to its schedule, which begins with this call: a slow loop body delays no later tick. Ticks that nobody
 * waits for are dropped. Only a pending `next()` has a timer, so a ticker that is not read on costs nothing.
 *
 * **Cancellation:** when `scope` is cancelled, `next()` rejects with the reason, at once if it already is; the timer is
 * cleared.
 *
 * **Failure:** none of its own.
 *
 * @param scope - Whose cancellation ends the ticking.
 * @param ms - The time between two ticks, more than 0.
 * @throws {TypeError | RangeError} If `scope` is no scope, or `ms` no such number.
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
export function ticker(scope: Scope, ms: number): AsyncIterableIterator<number> {
  const node = nodeOf("ticker", "scope", scope);
  if (ms === undefined) throw new TypeError(`ticker: ms must be a number, got ${describe(ms)}`);
  checkDuration("ticker", "ms", ms);
  if (ms === 0) throw new RangeError("ticker: ms must be more than 0, got 0");
  return new Ticker(node, ms);
}

type Result = IteratorResult<number, undefined>;
const done: IteratorReturnResult<undefined> = { done: true, value: undefined };

class Ticker implements AsyncIterableIterator<number, undefined> {
  readonly #node: ScopeNode;
  readonly #ms: number;
  readonly #start: number = Date.now();
  /** The number of the last tick that somebody has waited for. */
  #last = 0;
  readonly #pending = new Set<Tick>();
  #ended = false;

  constructor(node: ScopeNode, ms: number) {
    this.#node = node;
    this.#ms = ms;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Result> {
    return new Promise((resolve, reject) => {
      const node = this.#node;
      if (this.#ended) return resolve(done);
      if (node.reason !== undefined) {
        this.#ended = true;
        return reject(node.reason);
      }
      const now = Date.now();
      // A timer may fire a little early; the same tick is not given twice.
      this.#last = Math.max(this.#last, Math.floor((now - this.#start) / this.#ms)) + 1;
      const due = this.#start + this.#last * this.#ms;
      const tick = new Tick(node, due - now, (error) => {
        this.#pending.delete(tick);
        if (error === undefined) return resolve(this.#ended ? done : { done: false, value: due });
        this.#ended = true;
        reject(error);
      });
      this.#pending.add(tick);
    });
  }

  return(): Promise<Result> {
    this.#ended = true;
    for (const tick of this.#pending) tick.finish();
    return Promise.resolve(done);
  }
}

/** A pending `next()`. */
class Tick extends Hook {
  readonly #node: ScopeNode;
  readonly #timer: LongTimer | undefined;
  readonly #settle: (error: CancelledError | undefined) => void;

  constructor(node: ScopeNode, delay: number, settle: (error: CancelledError | undefined) => void) {
    super();
    this.#node = node;
    this.#settle = settle;
    if (delay !== Infinity) this.#timer = new LongTimer(delay, () => this.finish());
    addHook(node, this);
  }

  finish(): void {
    this.#timer?.clear();
    removeHook(this.#node, this);
    this.#settle(undefined);
  }

  run(reason: CancelledError): void {
    this.#timer?.clear();
    this.#settle(reason);
  }
}
