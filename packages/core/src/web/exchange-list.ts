/** The field of a request that the list uses. */
export interface Listed {
  /** Its index in the list that it is in. */
  place: number;
}

/**
 * Requests, in no order. A request is in one list at most. Adding and removing one takes the same time however many there
 * are, since every request goes through a list.
 */
export class ExchangeList<Exchange extends Listed> {
  #exchanges: Exchange[] = [];

  add(exchange: Exchange): void {
    exchange.place = this.#exchanges.length;
    this.#exchanges.push(exchange);
  }

  /** Removes the request, if it is in the list. Returns whether it was. */
  remove(exchange: Exchange): boolean {
    const exchanges = this.#exchanges;
    const { place } = exchange;
    if (place >= exchanges.length || exchanges[place] !== exchange) return false;
    const last = exchanges.pop() as Exchange;
    if (last !== exchange) {
      exchanges[place] = last;
      last.place = place;
    }
    return true;
  }

  all(): readonly Exchange[] {
    return [...this.#exchanges];
  }

  /** Removes and returns all requests. */
  takeAll(): readonly Exchange[] {
    const taken = this.#exchanges;
    this.#exchanges = [];
    return taken;
  }
}
