import { LogHistogram } from "./log-histogram.js";

/** Rates are averages over this many seconds. */
const RATE_SECONDS = 10;
/** Lifetimes are kept for a minute, in parts of ten seconds. */
const PART_MS = 10_000;
const PARTS = 6;

/**
 * The history of one place: the rates of created and settled scopes, and the lifetimes of those that have settled in
 * the last minute.
 */
export class PlaceHistory {
  readonly key: string;
  readonly name: string;
  readonly kind: string;
  readonly site: string;
  /** The totals since a page was opened. */
  created = 0;
  settled = 0;
  readonly #createdIn = new Uint32Array(RATE_SECONDS + 1);
  readonly #settledIn = new Uint32Array(RATE_SECONDS + 1);
  readonly #lifetimes: (LogHistogram | undefined)[] = [];
  #second = -1;
  #part = -1;
  #firstSecond = -1;

  constructor(key: string, name: string, kind: string, site: string) {
    this.key = key;
    this.name = name;
    this.kind = kind;
    this.site = site;
  }

  /** @param weight - The number of scopes that this one represents. */
  create(now: number, weight = 1): void {
    this.#advance(now);
    this.created += weight;
    count(this.#createdIn, this.#second, weight);
  }

  /** @param life - The lifetime in ms. */
  settle(now: number, life: number, weight = 1): void {
    this.#advance(now);
    this.settled += weight;
    count(this.#settledIn, this.#second, weight);
    (this.#lifetimes[this.#part % PARTS] ??= new LogHistogram()).add(life);
  }

  /** The rates per second over the last ten whole seconds. */
  rates(now: number): { created: number; settled: number } {
    this.#advance(now);
    const seconds = Math.min(RATE_SECONDS, this.#second - this.#firstSecond);
    if (seconds <= 0) return { created: 0, settled: 0 };
    const sum = (counts: Uint32Array): number => {
      let total = 0;
      for (let back = 1; back <= seconds; back++)
        total += counts[(this.#second - back) % (RATE_SECONDS + 1)] as number;
      return total / seconds;
    };
    return { created: sum(this.#createdIn), settled: sum(this.#settledIn) };
  }

  /** Whether a scope has settled in the last minute. */
  hasSettled(now: number): boolean {
    this.#advance(now);
    return this.#lifetimes.some((part) => part !== undefined && part.count > 0);
  }

  /** The percentiles of the lifetimes in the last minute, or `undefined` if no scope has settled. */
  lifetimes(now: number, shares: readonly number[]): number[] | undefined {
    this.#advance(now);
    const all = new LogHistogram();
    for (const part of this.#lifetimes) if (part !== undefined) all.addAll(part);
    return all.count === 0 ? undefined : all.percentiles(shares);
  }

  #advance(now: number): void {
    const second = Math.floor(now / 1_000);
    if (second === this.#second) return;
    if (this.#second < 0) this.#firstSecond = second;
    const from = Math.max(this.#second + 1, second - RATE_SECONDS);
    for (let each = from; each <= second; each++) {
      this.#createdIn[each % (RATE_SECONDS + 1)] = 0;
      this.#settledIn[each % (RATE_SECONDS + 1)] = 0;
    }
    this.#second = second;
    const part = Math.floor(now / PART_MS);
    for (let each = Math.max(this.#part + 1, part - PARTS + 1); each <= part; each++)
      this.#lifetimes[each % PARTS]?.clear();
    this.#part = part;
  }
}

function count(counts: Uint32Array, second: number, weight: number): void {
  const index = second % (RATE_SECONDS + 1);
  counts[index] = (counts[index] as number) + weight;
}
