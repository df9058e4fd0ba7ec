import { selfCleaning, spawn, ticker, type Scope, type SelfCleaning } from "bough";

/** A log of changes: only the last one of each key counts, so the others can be dropped now and then. */
export class Storage {
  #log: { readonly key: string; readonly value: string }[] = [];

  /** How many changes it keeps. */
  get length(): number {
    return this.#log.length;
  }

  set(key: string, value: string): void {
    this.#log.push({ key, value });
  }

  get(key: string): string | undefined {
    return this.#log.findLast((change) => change.key === key)?.value;
  }

  compact(): void {
    this.#log = [...new Map(this.#log.map((change) => [change.key, change])).values()];
  }
}

/**
 * Opens a storage that compacts itself at each interval: the original's loop that waits for no channel. `close(storage)`
 * is its stop, and so is dropping it.
 *
 * @param interval - Milliseconds.
 */
export function openStorage(interval: number): SelfCleaning<Storage> {
  return selfCleaning(
    (scope) => {
      const storage = new Storage();
      spawn(scope, (scope) => compact(scope, storage, interval), { name: "compact" });
      return storage;
    },
    { name: "storage", onOrphan: "ignore", holdsProcess: false },
  );
}

async function compact(scope: Scope, storage: Storage, interval: number): Promise<void> {
  for await (const _ of ticker(scope, interval)) storage.compact();
}
