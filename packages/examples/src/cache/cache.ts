import { selfCleaning, spawn, ticker, type Scope, type SelfCleaning } from "bough";

/** The inner `cache` of the original. Who uses it need not know that it has a worker. */
export class Cache<T> {
  /** Told when the worker has stopped. */
  onStopped: (() => void) | undefined = undefined;
  readonly #lifetime: number;
  readonly #entries = new Map<string, { readonly value: T; readonly expires: number }>();

  /** @param lifetime - Milliseconds that a value lives. */
  constructor(lifetime: number) {
    this.#lifetime = lifetime;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): T | undefined {
    return this.#entries.get(key)?.value;
  }

  set(key: string, value: T): this {
    this.#entries.set(key, { value, expires: Date.now() + this.#lifetime });
    return this;
  }

  /** Removes the expired entries at each interval, until `scope` is cancelled. */
  async run(scope: Scope, interval: number): Promise<void> {
    scope.defer(() => this.onStopped?.());
    for await (const now of ticker(scope, interval)) {
      for (const [key, { expires }] of this.#entries) if (expires <= now) this.#entries.delete(key);
    }
  }
}

/** Returns the see-through wrapper, the original's `wrapper`: it looks like a {@link Cache}, and dropping it stops `run`. */
export function createCache<T>(lifetime: number, interval: number): SelfCleaning<Cache<T>> {
  return selfCleaning(
    (scope) => {
      const cache = new Cache<T>(lifetime);
      spawn(scope, (scope) => cache.run(scope, interval), { name: "run" });
      return cache;
    },
    { name: "cache", onOrphan: "ignore", holdsProcess: false },
  );
}
