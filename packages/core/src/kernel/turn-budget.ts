import { afterMicrotasks, onTurn, realNow } from "./platform.js";

/** How many may go on in one turn of the event loop without having waited for one. */
const MOST = 100;
/** From here on it is watched when the turn ends, which takes a look at the event loop and at the clock. */
const WATCHED_FROM = 50;
/** Milliseconds that those who go on in one turn may take together. */
const SLICE = 4;

/**
 * Spreads what comes without a pause over the turns of the event loop, so that timers, signals and sockets are served in
 * between: those who go on in one turn do not take longer than a few milliseconds, unless a single one does. An orderly
 * program pays for counting.
 */
export class TurnBudget {
  #used = 0;
  #isWatched = false;
  /** Since when, by the monotonic clock, those who go on in this turn do. */
  #since = 0;
  /** How long that took them, in ms. */
  #spent = 0;
  #waiting: (() => void)[] = [];
  /** How many of those may go on in the next turn. */
  #room = MOST;

  /** Counts one. Returns what it has to wait for, if there were too many in this turn. */
  take(): Promise<void> | undefined {
    if (++this.#used < WATCHED_FROM && !this.#isWatched) return undefined;
    if (!this.#isWatched) this.#watch();
    const isFree = this.#waiting.length === 0 && this.#used < MOST;
    if (isFree && realNow() - this.#since <= SLICE) return undefined;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #watch(): void {
    const since = (this.#since = realNow());
    this.#isWatched = true;
    // Not until the end of the turn: what else goes on there takes its own time.
    afterMicrotasks(() => (this.#spent = realNow() - since));
    onTurn(() => this.#turn());
  }

  #turn(): void {
    this.#isWatched = false;
    this.#used = 0;
    const waiting = this.#waiting.length;
    if (waiting === 0) return void (this.#room = MOST);
    if (this.#spent > SLICE) this.#room = Math.ceil((this.#room * SLICE) / this.#spent);
    else if (waiting > this.#room) this.#room *= 2;
    const next = this.#waiting.splice(0, this.#room);
    this.#used = next.length;
    this.#watch();
    for (const resolve of next) resolve();
  }
}
