import type { ConcurrencyLimit, ScopeNode } from "./node.js";

/** How many tasks of one scope run at once; the others wait in spawn order. */
export class Limit implements ConcurrencyLimit {
  readonly max: number;
  #free: number;
  /** Each waiting task with what starts it. Insertion order is the queue; a cancelled task leaves at once. */
  readonly #queue = new Map<ScopeNode, () => void>();
  /** Kept between turns: a fresh iterator would walk over the holes that earlier turns left. */
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

  /** Lets `node` wait. `start` is called when it has got a slot. */
  enqueue(node: ScopeNode, start: () => void): void {
    this.#queue.set(node, start);
  }

  /** The tasks that are there now: an exception may have cost a slot. */
  recount(tasks: readonly ScopeNode[]): void {
    const taken = tasks.filter((task) => !this.#queue.has(task)).length;
    for (this.#free = this.max - taken; this.#free > 0 && this.#queue.size > 0; this.#free -= 1) {
      const [[next, start]] = this.#queue as unknown as [[ScopeNode, () => void]];
      this.#queue.delete(next);
      start();
    }
  }

  /** `node` has settled: it leaves the queue, or its slot goes to the next. */
  leave(node: ScopeNode): void {
    if (this.#queue.delete(node)) return;
    this.#iterator ??= this.#queue.entries();
    const turn = this.#iterator.next();
    if (turn.done === true) {
      this.#iterator = undefined; // an iterator that has ended stays ended
      this.#free += 1;
      return;
    }
    const [next, start] = turn.value;
    this.#queue.delete(next);
    start();
  }
}
