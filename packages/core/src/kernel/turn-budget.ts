import { onTurn, realNow } from "./platform.js";

/** How many may go on in one turn of the event loop. */
const MOST = 100;
/** From here on it is watched when the turn ends, which takes a look at the event loop and at the clock. */
const WATCHED_FROM = 50;
/** Milliseconds. If what goes on in a turn takes longer, fewer may go on in the next one. */
const SLICE = 4;

/**
 * Spreads what comes without a pause over the turns of the event loop, so that timers, signals and sockets are served in
 * between: at most a hundred go on in a turn, and no more than take a few milliseconds. An orderly program pays for
 * counting.
 */
export class TurnBudget {
  #used = 0;
  #most = MOST;
  #turnBegan = 0;
  #isWatched = false;
  #waiting: (() => void)[] = [];

  /** Counts one. Returns what it has to wait for, if there were too many in this turn. */
  take(): Promise<void> | undefined {
    if (++this.#used < WATCHED_FROM && !this.#isWatched) return undefined;
    if (!this.#isWatched) this.#watch();
    if (this.#waiting.length === 0 && this.#used < this.#most && !this.#isLate()) return undefined;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #isLate(): boolean {
    return realNow() - this.#turnBegan > SLICE;
  }

  #watch(): void {
    this.#isWatched = true;
    this.#turnBegan = realNow();
    onTurn(() => this.#turn());
  }

  #turn(): void {
    this.#isWatched = false;
    const isOver = this.#waiting.length === 0;
    if (isOver) this.#most = MOST;
    else if (this.#isLate()) this.#most = Math.max(1, this.#most >> 1);
    else this.#most = Math.min(MOST, this.#most * 2);
    const next = this.#waiting.splice(0, this.#most);
    this.#used = next.length;
    if (!isOver) this.#watch();
    for (const resolve of next) resolve();
  }
}
