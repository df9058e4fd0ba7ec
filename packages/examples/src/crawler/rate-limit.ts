import { sleep, type Scope } from "bough";

/** Lets calls through one after the other, so many a second, in the order in which they came. */
export class RateLimit {
  readonly #interval: number;
  #next = 0;

  constructor(perSecond: number) {
    this.#interval = 1_000 / perSecond;
  }

  /** Resolves when it is this call's turn; rejects with the reason when `scope` is cancelled before. */
  async turn(scope: Scope): Promise<void> {
    const now = Date.now();
    const at = Math.max(now, this.#next);
    this.#next = at + this.#interval;
    await sleep(scope, at - now);
  }
}
