import { afterMicrotasks, onTurn, realNow } from "./platform.js";

/** How many operations may go on in one turn of the event loop without having waited for one. */
const MAX_PER_TURN = 100;
/** From this operation of a turn on the end of the turn is watched, which costs a callback of the event loop and a clock. */
const FIRST_WATCHED = 50;
/** Milliseconds that the operations that go on in one turn may take together. */
const SLICE = 4;

/**
 * Spreads operations that come without a pause over the turns of the event loop, so that timers, signals and sockets are served
 * in between. The operations of one turn take a few milliseconds together, unless a single one takes longer. A program that
 * has few of them in a turn pays only for counting.
 */
export class TurnBudget {
  #used = 0;
  #isWatched = false;
  /** When the operations of this turn began to go on, by the monotonic clock. */
  #startedAt = 0;
  /** How long they took, in ms. */
  #duration = 0;
  #waiting: (() => void)[] = [];
  /** How many of those may go on in the next turn. */
  #nextTurnSize = MAX_PER_TURN;

  /** Counts an operation. Returns a promise to wait for if there were too many in this turn. */
  take(): Promise<void> | undefined {
    if (++this.#used < FIRST_WATCHED && !this.#isWatched) return undefined;
    if (!this.#isWatched) this.#watch();
    const isFree = this.#waiting.length === 0 && this.#used < MAX_PER_TURN;
    if (isFree && realNow() - this.#startedAt <= SLICE) return undefined;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #watch(): void {
    const since = (this.#startedAt = realNow());
    this.#isWatched = true;
    // Not at the end of the turn: other callbacks of the turn take time, too.
    afterMicrotasks(() => (this.#duration = realNow() - since));
    onTurn(() => this.#turn());
  }

  #turn(): void {
    this.#isWatched = false;
    this.#used = 0;
    const waiting = this.#waiting.length;
    if (waiting === 0) return void (this.#nextTurnSize = MAX_PER_TURN);
    if (this.#duration > SLICE) this.#nextTurnSize = Math.ceil((this.#nextTurnSize * SLICE) / this.#duration);
    else if (waiting > this.#nextTurnSize) this.#nextTurnSize *= 2;
    const next = this.#waiting.splice(0, this.#nextTurnSize);
    this.#used = next.length;
    this.#watch();
    for (const resolve of next) resolve();
  }
}
