import { monotonicNow } from "./time.js";

/** How far two clocks may drift apart, as a fraction: ten times what quartz does. */
const DRIFT = 0.000_5;

/**
 * The engine's time, seen from this process. Each answer says that the engine's clock was at `now` at some moment between
 * the call and the answer, so the difference of the clocks is within bounds. Several answers narrow them.
 */
export class EngineClock {
  #low = -Infinity;
  #high = Infinity;
  #sampledAt = 0;

  get isKnown(): boolean {
    return this.#low !== -Infinity;
  }

  sample(sentAt: number, now: number, answeredAt: number): void {
    const low = now - answeredAt;
    const high = now - sentAt;
    const slack = (answeredAt - this.#sampledAt) * DRIFT;
    const narrowed = { low: Math.max(low, this.#low - slack), high: Math.min(high, this.#high + slack) };
    // An answer that contradicts the earlier ones: the engine's clock was set.
    const isStepped = narrowed.low > narrowed.high + 2; // the engine's clock has whole ms only
    this.#low = isStepped ? low : narrowed.low;
    this.#high = isStepped ? high : narrowed.high;
    this.#sampledAt = answeredAt;
  }

  /** The best guess of the engine's time. */
  now(): number {
    return monotonicNow() + (this.#low + this.#high) / 2;
  }

  /** The `monotonicNow()` from which on the engine's time is certainly past `instant`. */
  certainlyPast(instant: number): number {
    return instant - this.#low + 2;
  }
}
