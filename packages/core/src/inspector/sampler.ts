/**
 * Chooses which events to follow: all while they are few, otherwise a share that keeps to the limit. The choice depends
 * only on a hash of the id. The ids themselves may follow a pattern: every fourth may be a request.
 */
export class Sampler {
  readonly #limit: number;
  /** One in this many events is followed. A power of two. */
  #stride = 1;
  #taken = 0;
  #until = 0;

  /** @param limit - How many events are followed each second. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** One in this many events is followed. */
  get stride(): number {
    return this.#stride;
  }

  /** The number of events that this one represents; 0 if it is not followed. */
  take(id: number, now: number): number {
    if (now >= this.#until) {
      if (this.#taken < this.#limit / 4 && this.#stride > 1) this.#stride /= 2;
      this.#taken = 0;
      this.#until = now + 1_000;
    }
    const stride = this.#stride;
    if (stride > 1 && ((Math.imul(id, 0x9e3779b1) >>> 8) & (stride - 1)) !== 0) return 0;
    if (++this.#taken > this.#limit) {
      this.#stride *= 2;
      this.#taken = 0;
    }
    return stride;
  }
}
