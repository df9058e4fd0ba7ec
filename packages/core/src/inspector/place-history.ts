import { LogHistogram } from "./log-histogram.js";

/** Rates are those of the last ten seconds. */
const RATED = 10;
/** Lives are kept for a minute, in parts of ten seconds. */
const PART = 10_000;
const PARTS = 6;

/** What has been created and settled at one place: rates, and how long scopes lived that have settled in the last minute. */
export class PlaceHistory {
  readonly key: string;
  readonly name: string;
  readonly kind: string;
  readonly site: string;
  /** Since a page is open. */
  created = 0;
  settled = 0;
  readonly #createdIn = new Uint32Array(RATED + 1);
  readonly #settledIn = new Uint32Array(RATED + 1);
  readonly #lives: (LogHistogram | undefined)[] = [];
  #second = -1;
  #part = -1;
  #firstSecond = -1;

  constructor(key: string, name: string, kind: string, site: string) {
    this.key = key;
    this.name = name;
    this.kind = kind;
    this.site = site;
  }

  /** @param weight - How many there were: not all are followed. */
  create(now: number, weight = 1): void {
    this.#advance(now);
    this.created += weight;
    count(this.#createdIn, this.#second, weight);
  }

  /** @param life - How long it has lived, in ms. */
  settle(now: number, life: number, weight = 1): void {
    this.#advance(now);
    this.settled += weight;
    count(this.#settledIn, this.#second, weight);
    (this.#lives[this.#part % PARTS] ??= new LogHistogram()).add(life);
  }

  /** Per second, of the last ten whole seconds. */
  rates(now: number): { created: number; settled: number } {
    this.#advance(now);
    const seconds = Math.min(RATED, this.#second - this.#firstSecond);
    if (seconds <= 0) return { created: 0, settled: 0 };
    const sum = (counts: Uint32Array): number => {
      let total = 0;
      for (let back = 1; back <= seconds; back++)
        total += counts[(this.#second - back) % (RATED + 1)] as number;
      return total / seconds;
    };
    return { created: sum(this.#createdIn), settled: sum(this.#settledIn) };
  }

  /** Whether anything has settled in the last minute. */
  hasSettled(now: number): boolean {
    this.#advance(now);
    return this.#lives.some((part) => part !== undefined && part.count > 0);
  }

  /** The percentiles of the last minute; `undefined` if nothing has settled in it. */
  lives(now: number, shares: readonly number[]): number[] | undefined {
    this.#advance(now);
    const all = new LogHistogram();
    for (const part of this.#lives) if (part !== undefined) all.addAll(part);
    return all.count === 0 ? undefined : all.percentiles(shares);
  }

  #advance(now: number): void {
    const second = Math.floor(now / 1_000);
    if (second === this.#second) return;
    if (this.#second < 0) this.#firstSecond = second;
    const from = Math.max(this.#second + 1, second - RATED);
    for (let each = from; each <= second; each++) {
      this.#createdIn[each % (RATED + 1)] = 0;
      this.#settledIn[each % (RATED + 1)] = 0;
    }
    this.#second = second;
    const part = Math.floor(now / PART);
    for (let each = Math.max(this.#part + 1, part - PARTS + 1); each <= part; each++)
      this.#lives[each % PARTS]?.clear();
    this.#part = part;
  }
}

function count(counts: Uint32Array, second: number, weight: number): void {
  const index = second % (RATED + 1);
  counts[index] = (counts[index] as number) + weight;
}
