/** A queue made of two stacks: constant time on average, and it keeps no reference to a removed value. */
export class Fifo<T> {
  #in: T[] = [];
  /** The values to remove next, in reverse. */
  #out: T[] = [];

  get size(): number {
    return this.#in.length + this.#out.length;
  }

  push(value: T): void {
    this.#in.push(value);
  }

  /** Removes and returns the first value; `undefined` if the queue is empty. */
  shift(): T | undefined {
    if (this.#out.length === 0) {
      this.#out = this.#in.reverse();
      this.#in = [];
    }
    return this.#out.pop();
  }
}
