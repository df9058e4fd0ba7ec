import type { Exchange } from "./exchange.js";

/** Requests whose scopes nobody has asked for. The list is intrusive, as every request goes through it. */
export class Unopened {
  #first: Exchange | undefined = undefined;

  add(exchange: Exchange): void {
    const first = this.#first;
    exchange.next = first;
    if (first !== undefined) first.previous = exchange;
    this.#first = exchange;
  }

  remove(exchange: Exchange): void {
    const { next, previous } = exchange;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next !== undefined) next.previous = previous;
    exchange.next = exchange.previous = undefined;
  }

  /** All of them, in the order of their arrival. They may be removed meanwhile. */
  get all(): readonly Exchange[] {
    const found: Exchange[] = [];
    for (let at = this.#first; at !== undefined; at = at.next) found.push(at);
    return found.reverse();
  }
}
