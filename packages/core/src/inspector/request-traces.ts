/** How many ended requests are kept: the latest ones, and the slowest ones since a page was opened. */
const LAST = 200;
const SLOWEST = 50;
/** How many scopes are kept for each request. */
const MAX_BARS = 40;
/** How many running requests are followed. */
const MAX_OPEN = 2_000;

/** A scope below a request. Times are in ms since the request began. */
export interface Bar {
  readonly name: string;
  /** 0 for a child of the request. */
  readonly depth: number;
  readonly from: number;
  to: number | undefined;
  /** Its status when it settled. */
  outcome: string;
}

interface Ending {
  readonly name: string;
  readonly outcome: string;
  readonly status?: number;
}

/** A request with the scopes below it, in preorder; siblings are in the order in which they began. */
export class RequestTrace {
  readonly id: number;
  readonly begun: number;
  readonly bars: Bar[] = [];
  /** The number of scopes without a bar. */
  dropped = 0;
  /** The duration in ms; `undefined` while it runs. */
  took: number | undefined = undefined;
  ending: Ending | undefined = undefined;

  constructor(id: number, begun: number) {
    this.id = id;
    this.begun = begun;
  }

  begin(name: string, now: number, above: Bar | undefined): Bar | undefined {
    if (this.bars.length === MAX_BARS) {
      this.dropped++;
      return undefined;
    }
    const bar: Bar = {
      name,
      depth: above === undefined ? 0 : above.depth + 1,
      from: now - this.begun,
      to: undefined,
      outcome: "",
    };
    this.bars.splice(this.#placeBelow(above), 0, bar);
    return bar;
  }

  /** The index after the parent's bar and the bars below it. */
  #placeBelow(above: Bar | undefined): number {
    if (above === undefined) return this.bars.length;
    let at = this.bars.indexOf(above) + 1;
    while ((this.bars[at]?.depth ?? 0) > above.depth) at++;
    return at;
  }

  end(bar: Bar, now: number, outcome: string): void {
    bar.to = now - this.begun;
    bar.outcome = outcome;
  }
}

/** The requests of a process while a page is open. */
export class Requests {
  readonly #last: RequestTrace[] = [];
  readonly #slowest: RequestTrace[] = [];
  #open = 0;

  /** The number of running requests that are followed. */
  get open(): number {
    return this.#open;
  }

  /** Returns `undefined` if too many requests are running. */
  begin(id: number, now: number): RequestTrace | undefined {
    if (this.#open === MAX_OPEN) return undefined;
    this.#open++;
    return new RequestTrace(id, now);
  }

  end(trace: RequestTrace, now: number, ending: Ending): void {
    this.#open--;
    trace.took = now - trace.begun;
    trace.ending = ending;
    this.#last.push(trace);
    // Trimmed rarely, since removing from the front moves the whole array.
    if (this.#last.length === 2 * LAST) this.#last.splice(0, LAST);
    this.#rank(trace, trace.took);
  }

  #rank(trace: RequestTrace, took: number): void {
    const slowest = this.#slowest;
    const least = slowest.at(-1);
    if (slowest.length === SLOWEST && took <= (least?.took ?? 0)) return;
    if (slowest.length === SLOWEST) slowest.pop();
    const at = slowest.findIndex((each) => (each.took ?? 0) < took);
    slowest.splice(at === -1 ? slowest.length : at, 0, trace);
  }

  /** The newest first. */
  last(): RequestTrace[] {
    return this.#last.slice(-LAST).reverse();
  }

  /** The slowest first. */
  slowest(): readonly RequestTrace[] {
    return this.#slowest;
  }

  clear(): void {
    this.#last.length = 0;
    this.#slowest.length = 0;
    this.#open = 0;
  }
}
