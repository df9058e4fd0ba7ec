import type { ScopeNode } from "../../kernel/node.js";
import { ScopedWait } from "../../kernel/scoped-wait.js";

/** An entry of a {@link WaitQueue}. */
export interface Queued {
  queue: WaitQueue<Queued> | undefined;
  ahead: Queued | undefined;
  behind: Queued | undefined;
}

/** A wait that is its own entry in a queue. */
export abstract class QueuedWait<T> extends ScopedWait<T> implements Queued {
  // As in `Hook`, the fields are assigned in the constructor only.
  declare queue: WaitQueue<Queued> | undefined;
  declare ahead: Queued | undefined;
  declare behind: Queued | undefined;

  constructor(node: ScopeNode | undefined) {
    super(node);
    this.queue = undefined;
    this.ahead = undefined;
    this.behind = undefined;
  }

  /** The scope that waits. */
  get owner(): ScopeNode | undefined {
    return this.node;
  }

  protected override withdraw(): void {
    this.queue?.remove(this);
  }
}

/** A first-come, first-served queue as a linked list: an entry can leave from the middle in constant time. */
export class WaitQueue<W extends Queued> {
  #first: Queued | undefined;
  #last: Queued | undefined;

  #size = 0;

  get size(): number {
    return this.#size;
  }

  get empty(): boolean {
    return this.#first === undefined;
  }

  *[Symbol.iterator](): Generator<W, void, void> {
    for (let at = this.#first; at !== undefined; at = at.behind) yield at as W;
  }

  push(waiter: W): void {
    waiter.queue = this as unknown as WaitQueue<Queued>;
    waiter.ahead = this.#last;
    if (this.#last === undefined) this.#first = waiter;
    else this.#last.behind = waiter;
    this.#last = waiter;
    this.#size += 1;
  }

  /** Removes and returns the first entry. */
  shift(): W | undefined {
    const first = this.#first;
    if (first !== undefined) this.remove(first);
    return first as W | undefined;
  }

  /** Removes the entries one by one, also those that are added in the meantime. */
  drain(each: (waiter: W) => void): void {
    for (let first = this.shift(); first !== undefined; first = this.shift()) each(first);
  }

  remove(waiter: Queued): void {
    const { ahead, behind } = waiter;
    if (ahead === undefined) this.#first = behind;
    else ahead.behind = behind;
    if (behind === undefined) this.#last = ahead;
    else behind.ahead = ahead;
    waiter.queue = waiter.ahead = waiter.behind = undefined;
    this.#size -= 1;
  }
}
