/** The fields of a request that the list uses. */
export interface Listed {
  later: Listed | undefined;
  earlier: Listed | undefined;
}

/**
 * Requests, in the order of their arrival. A request is in one list at most. The list is a ring of which it is a part, as every
 * request goes through one: adding and removing one takes the same time however many there are. In V8 an array would
 * be a second old object that points to a young one; see `promise-settlers.ts`.
 */
export class ExchangeList<Exchange extends Listed> implements Listed {
  /** The oldest. */
  later: Listed = this;
  /** The newest. */
  earlier: Listed = this;

  add(exchange: Exchange): void {
    const last = this.earlier;
    exchange.earlier = last;
    exchange.later = this;
    this.earlier = last.later = exchange;
  }

  /** Removes the request, if it is in a list: it must not be in another one. Returns whether it was in it. */
  remove(exchange: Exchange): boolean {
    const { earlier, later } = exchange;
    if (earlier === undefined || later === undefined) return false;
    earlier.later = later;
    later.earlier = earlier;
    exchange.earlier = exchange.later = undefined;
    return true;
  }

  all(): readonly Exchange[] {
    const found: Exchange[] = [];
    for (let at = this.later; at !== this; at = at.later as Listed) found.push(at as Exchange);
    return found;
  }

  /** Removes and returns all requests. */
  takeAll(): readonly Exchange[] {
    const found = this.all();
    for (const exchange of found) this.remove(exchange);
    return found;
  }
}
