import { MAX_REUSED } from "./constants.js";

/**
 * Objects that are used again. JavaScriptCore takes longer for the memory of an object, which the processor has not in its
 * cache, than for all code that fills it; so the reactions to promises are reused there, of which a task needs three. In V8
 * they would be old objects that point to young ones: see `promise-settlers.ts`.
 */
export class ReusePool<T extends object> {
  readonly #unused: T[] = [];

  /** Takes an object, if there is one. */
  take(): T | undefined {
    return this.#unused.pop();
  }

  /** Puts an object back, which must not refer to anything that it was used for. */
  put(object: T): void {
    if (this.#unused.length < MAX_REUSED) this.#unused.push(object);
  }
}
