import { MAX_REUSED } from "./constants.js";

/**
 * Objects that are used again, on Bun: the reactions to promises, of which a task needs three, and the exchanges of requests.
 * JavaScriptCore spends more time on the memory of a new object, which is not in the cache of the processor, than on all code
 * that fills it. In V8 they would be old objects that point to young ones: see `promise-settlers.ts`.
 */
export class ReusePool<T extends object> {
  readonly #unused: T[] = [];

  /** Takes an object, if there is one. */
  take(): T | undefined {
    return this.#unused.pop();
  }

  /** Puts an object back. It must no longer refer to anything that it was used for. */
  put(object: T): void {
    if (this.#unused.length < MAX_REUSED) this.#unused.push(object);
  }
}
