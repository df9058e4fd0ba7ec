import { selfCleaning, shield, spawn, ticker, type Scope, type SelfCleaning } from "bough";

/** Receives an evicted entry, for example to store it elsewhere. */
type Evict<T> = (key: string, value: T, scope: Scope) => Promise<void>;

export interface LruOptions<T> {
  /** The most entries it keeps; beyond it forgets the least recently used. */
  readonly capacity: number;
  /** Milliseconds that an entry lives. */
  readonly lifetime: number;
  /** Milliseconds between two evictions of expired entries. */
  readonly interval: number;
  readonly onEvict: Evict<T>;
}

/** How long an eviction that has begun may take when the cache is closed, in ms. */
const PATIENCE = 5_000;

/** Istio's `lruCache`: the oldest entry is the first of the map. */
export class LruCache<T> {
  readonly #entries = new Map<string, { readonly value: T; readonly expires: number }>();
  readonly #options: LruOptions<T>;

  constructor(options: LruOptions<T>) {
    this.#options = options;
  }

  get keys(): string[] {
    return [...this.#entries.keys()];
  }

  set(key: string, value: T): void {
    this.#entries.delete(key);
    this.#entries.set(key, { value, expires: Date.now() + this.#options.lifetime });
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > this.#options.capacity && oldest !== undefined) this.#entries.delete(oldest);
  }

  get(key: string): T | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.value;
  }

  /** Evicts the expired entries one by one. An eviction that has begun is finished even when `scope` is cancelled. */
  async evictExpired(scope: Scope): Promise<void> {
    const now = Date.now();
    for (const [key, { value, expires }] of this.#entries) {
      if (expires > now) continue;
      scope.throwIfCancelled();
      this.#entries.delete(key);
      await shield(scope, { timeout: PATIENCE }, (scope) => this.#options.onEvict(key, value, scope));
    }
  }
}

/**
 * Makes a cache with an evicter. `close(cache)` is Istio's finalizer, awaited: `w.stopEvicter <- true` and
 * `w.evicterTerminated.Wait()`. Dropping the cache does the same, without a caller that waits.
 */
export function createLruCache<T>(options: LruOptions<T>): SelfCleaning<LruCache<T>> {
  return selfCleaning(
    (scope) => {
      const cache = new LruCache<T>(options);
      spawn(scope, (scope) => evicter(scope, cache, options.interval));
      return cache;
    },
    { name: "lru cache", onOrphan: "ignore" },
  );
}

async function evicter<T>(scope: Scope, cache: LruCache<T>, interval: number): Promise<void> {
  for await (const _ of ticker(scope, interval)) await cache.evictExpired(scope);
}
