/** Buckets per doubling. A bucket is a sixteenth wide, about 6 %. */
const STEPS = 16;
const BITS = 4;
/** 42 doublings of a microsecond are 50 days. */
const SIZE = 42 * STEPS;
const UNIT = 1_000;

/**
 * Counts durations in log-linear buckets, as HdrHistogram does (https://hdrhistogram.github.io/HdrHistogram/).
 * Percentiles are exact to 3 % from a microsecond to 50 days. Takes 2.7 KB.
 */
export class LogHistogram {
  readonly #buckets: Uint32Array = new Uint32Array(SIZE);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** @param ms - A duration. */
  add(ms: number): void {
    const index = bucketOf(ms);
    this.#buckets[index] = (this.#buckets[index] as number) + 1;
    this.#count++;
  }

  addAll(other: LogHistogram): void {
    const buckets = other.#buckets;
    for (let index = 0; index < SIZE; index++)
      this.#buckets[index] = (this.#buckets[index] as number) + (buckets[index] as number);
    this.#count += other.#count;
  }

  clear(): void {
    if (this.#count === 0) return;
    this.#buckets.fill(0);
    this.#count = 0;
  }

  /** The percentiles in ms, for shares in ascending order such as `[0.5, 0.99]`. */
  percentiles(shares: readonly number[]): number[] {
    const found: number[] = [];
    let below = 0;
    for (let index = 0; index < SIZE && found.length < shares.length; index++) {
      below += this.#buckets[index] as number;
      while (
        found.length < shares.length &&
        below > 0 &&
        below >= (shares[found.length] as number) * this.#count
      )
        found.push(middleOf(index));
    }
    return shares.map((_, index) => found[index] ?? 0);
  }
}

function bucketOf(ms: number): number {
  const value = ms * UNIT;
  if (!(value >= 1)) return 0;
  if (value >= 2 ** 42) return SIZE - 1;
  if (value >= 2 ** 31) return bucketOf(ms / 2 ** 16) + 16 * STEPS;
  const whole = value | 0;
  const doublings = 31 - Math.clz32(whole);
  const step = doublings >= BITS ? whole >> (doublings - BITS) : whole << (BITS - doublings);
  return doublings * STEPS + (step & (STEPS - 1));
}

function middleOf(index: number): number {
  const least = 2 ** Math.floor(index / STEPS);
  return (least * (1 + ((index % STEPS) + 0.5) / STEPS)) / UNIT;
}
