import type { ConcurrencyLimit, ScopeNode } from "./node.js";

/** Limits how many tasks of one scope run at the same time. The others wait in spawn order. */
export class Limit implements ConcurrencyLimit {
  readonly max: number;
  #free: number;
  /**
   * Each waiting task with the function that starts it, in the order of the queue. A cancelled task leaves immediately.
   */
  readonly #queue = new Map<ScopeNode, () => void>();
  /** Kept between calls: a new iterator would have to skip the deleted entries at the front. */
  #iterator: MapIterator<[ScopeNode, () => void]> | undefined;

  constructor(max: number) {
    this.max = this.#free = max;
  }

  /** Takes a slot if one is free, which implies that no task waits. */
  tryAcquire(): boolean {
    if (this.#free === 0) return false;
    this.#free -= 1;
    return true;
  }

  /** Adds `node` to the queue. `start` is called when it gets a slot. */
  enqueue(node: ScopeNode, start: () => void): void {
    this.#queue.set(node, start);
  }

  /** Recomputes the free slots from the live tasks, since an exception may have lost one. */
  recount(tasks: readonly ScopeNode[]): void {
    const taken = tasks.filter((task) => !this.#queue.has(task)).length;
    this.#free = this.max - taken;
    while (this.#free > 0 && this.#queue.size > 0) this.#startNext();
  }

  /** Called when `node` has settled: removes it from the queue, or passes its slot to the next. */
  leave(node: ScopeNode): void {
    if (this.#queue.delete(node)) return;
    this.#free += 1;
    this.#startNext();
  }

  #startNext(): void {
    this.#iterator ??= this.#queue.entries();
    const turn = this.#iterator.next();
    if (turn.done === true) {
      this.#iterator = undefined; // an iterator that has ended stays ended
      return;
    }
    const [next, start] = turn.value;
    this.#free -= 1;
    this.#queue.delete(next);
    start();
  }
}
