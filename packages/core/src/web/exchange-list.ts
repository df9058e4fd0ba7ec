/** The fields of a request that the list uses. */
export interface Listed<Self extends Listed<Self>> {
  list: ExchangeList<Self> | undefined;
  later: Self | undefined;
  earlier: Self | undefined;
}

/**
 * Requests, in the order of their arrival. A request is in one list at most. The list is intrusive, as every request goes
 * through one: to add and to remove it takes the same time however many there are.
 */
export class ExchangeList<Exchange extends Listed<Exchange>> {
  /** The newest. */
  #last: Exchange | undefined = undefined;

  add(exchange: Exchange): void {
    const last = this.#last;
    exchange.list = this;
    exchange.earlier = last;
    if (last !== undefined) last.later = exchange;
    this.#last = exchange;
  }

  /** Removes the request, if it is in the list. */
  remove(exchange: Exchange): void {
    if (exchange.list !== this) return;
    const { earlier, later } = exchange;
    if (later === undefined) this.#last = earlier;
    else later.earlier = earlier;
    if (earlier !== undefined) earlier.later = later;
    exchange.list = exchange.earlier = exchange.later = undefined;
  }

  all(): readonly Exchange[] {
    const found: Exchange[] = [];
    for (let at = this.#last; at !== undefined; at = at.earlier) found.push(at);
    return found.reverse();
  }

  /** Removes and returns all requests. */
  takeAll(): readonly Exchange[] {
    const found = this.all();
    for (const exchange of found) this.remove(exchange);
    return found;
  }
}
