import { FIRST_TIMED_OPERATION, OPERATIONS_PER_TURN, TURN_SLICE } from "./constants.js";
import { afterMicrotasks, onTurn, realNow } from "./platform.js";

/**
 * Spreads operations that complete without waiting over the turns of the event loop, so that timers, signals and
 * sockets are served in between. The operations of one turn take a few milliseconds together, unless a single one takes
 * longer. A program with few of them in a turn pays only for counting.
 */
export class TurnBudget {
  #used = 0;
  #isWatched = false;
  /** When the timing of this turn began, on the monotonic clock. */
  #startedAt = 0;
  /** How long the operations took, in ms. */
  #duration = 0;
  #waiting: (() => void)[] = [];
  /** How many waiting operations continue in the next turn. */
  #nextTurnSize = OPERATIONS_PER_TURN;

  /** Counts an operation. Returns a promise to wait for if this turn has had too many. */
  take(): Promise<void> | undefined {
    if (++this.#used < FIRST_TIMED_OPERATION && !this.#isWatched) return undefined;
    if (!this.#isWatched) this.#watch();
    const isFree = this.#waiting.length === 0 && this.#used < OPERATIONS_PER_TURN;
    if (isFree && realNow() - this.#startedAt <= TURN_SLICE) return undefined;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #watch(): void {
    const since = (this.#startedAt = realNow());
    this.#isWatched = true;
    // Measured after the microtasks, since other callbacks of the turn take time, too.
    afterMicrotasks(() => (this.#duration = realNow() - since));
    onTurn(() => this.#turn());
  }

  #turn(): void {
    this.#isWatched = false;
    this.#used = 0;
    const waiting = this.#waiting.length;
    if (waiting === 0) return void (this.#nextTurnSize = OPERATIONS_PER_TURN);
    if (this.#duration > TURN_SLICE)
      this.#nextTurnSize = Math.ceil((this.#nextTurnSize * TURN_SLICE) / this.#duration);
    else if (waiting > this.#nextTurnSize) this.#nextTurnSize *= 2;
    const next = this.#waiting.splice(0, this.#nextTurnSize);
    this.#used = next.length;
    this.#watch();
    for (const resolve of next) resolve();
  }
}
