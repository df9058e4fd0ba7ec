/** A queue of two stacks: constant time on average, and it keeps nothing that was taken out. */
export class Fifo<T> {
  #in: T[] = [];
  /** What goes out next, last first. */
  #out: T[] = [];

  get size(): number {
    return this.#in.length + this.#out.length;
  }

  push(value: T): void {
    this.#in.push(value);
  }

  /** `undefined` when it is empty. */
  shift(): T | undefined {
    if (this.#out.length === 0) {
      this.#out = this.#in.reverse();
      this.#in = [];
    }
    return this.#out.pop();
  }
}
