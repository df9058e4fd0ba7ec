import { monotonicNow } from "./time.js";

/** How far two clocks may drift apart, as a fraction: ten times the drift of quartz. */
const DRIFT = 0.000_5;

/**
 * The engine's time, as estimated in this process. In each answer the engine's clock was at `now` at some moment
 * between the call and the answer. This bounds the difference of the clocks; several answers narrow the bounds.
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
