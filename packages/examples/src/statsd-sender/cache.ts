import { selfCleaning, spawn, ticker, type Scope, type SelfCleaning } from "bough";

interface Item<T> {
  readonly value: T;
  /** Epoch ms. */
  readonly expires: number;
}

/** Values that expire: what go-cache keeps in its inner `cache`. */
export class Cache<T> {
  readonly #items = new Map<string, Item<T>>();
  readonly #lifetime: number;
  /** Hears of every value that the janitor deletes. */
  onEvicted: ((key: string, value: T) => void) | undefined = undefined;

  /** @param lifetime - How long values live, in ms, unless `set` says otherwise. */
  constructor(lifetime: number) {
    this.#lifetime = lifetime;
  }

  /** How many values it has, expired or not. */
  get size(): number {
    return this.#items.size;
  }

  set(key: string, value: T, lifetime: number = this.#lifetime): this {
    this.#items.set(key, { value, expires: Date.now() + lifetime });
    return this;
  }

  get(key: string): T | undefined {
    const item = this.#items.get(key);
    return item !== undefined && Date.now() < item.expires ? item.value : undefined;
  }

  deleteExpired(): void {
    const now = Date.now();
    for (const [key, { value, expires }] of this.#items) {
      if (now < expires) continue;
      this.#items.delete(key);
      this.onEvicted?.(key, value);
    }
  }
}

let janitors = 0;

/** How many caches have a live janitor, dropped or not. */
export function liveJanitors(): number {
  return janitors;
}

/**
 * Makes a cache whose expired values are deleted every `interval` ms; `Infinity` for never. What is returned is
 * go-cache's outer `Cache`: the janitor knows the inner one only, so dropping it stops the janitor.
 */
export function createCache<T>(lifetime: number, interval: number): SelfCleaning<Cache<T>> {
  return selfCleaning(
    (scope) => {
      const cache = new Cache<T>(lifetime);
      if (interval < Infinity) spawn(scope, (scope) => clean(scope, cache, interval), { name: "janitor" });
      return cache;
    },
    { name: "cache", onOrphan: "ignore", holdsProcess: false },
  );
}

async function clean<T>(scope: Scope, cache: Cache<T>, interval: number): Promise<void> {
  janitors += 1;
  try {
    for await (const _ of ticker(scope, interval)) cache.deleteExpired();
  } finally {
    janitors -= 1;
  }
}
