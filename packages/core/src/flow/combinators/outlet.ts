import { createPromised, type Promised } from "../../kernel/promised.js";
import { markHandled } from "../../kernel/refusal.js";
import { Fifo } from "../sync/fifo.js";

export interface Failure {
  readonly error: unknown;
  /** It is the cancellation of the stream's scope: nobody has to take it. */
  readonly isReason?: boolean;
}

export const done: IteratorReturnResult<undefined> = { done: true, value: undefined };

/** Where the results of a stream wait for its consumer, and the consumer's `next()` calls for results. */
export class Outlet<R> {
  /** How many results were asked for, ever. */
  requested = 0;
  /** What the stream ended with, until somebody has taken it. */
  failure: Failure | undefined = undefined;
  ended = false;
  readonly #ordered: boolean;
  #ready = new Map<number, R>();
  /** Which key of {@link #ready} goes next; in an unordered outlet the keys just count. */
  #next = 0;
  #pushed = 0;
  readonly #requests = new Fifo<Promised<IteratorResult<R, undefined>>>();
  #onTaken: (() => void) | undefined;

  constructor(ordered: boolean) {
    this.#ordered = ordered;
  }

  /** Whether it has ended and there is nothing left in it: no result, no failure. */
  get isOver(): boolean {
    return this.ended && this.failure === undefined && this.#ready.size === 0;
  }

  request(): Promise<IteratorResult<R, undefined>> {
    this.requested += 1;
    const request = createPromised<IteratorResult<R, undefined>>();
    this.#requests.push(request);
    this.#deliver();
    return request.promise;
  }

  push(value: R, index: number): void {
    this.#ready.set(this.#ordered ? index : this.#pushed++, value);
    this.#deliver();
  }

  /** Nothing more will come. What is ready is delivered first, then the failure, once. */
  end(failure: Failure | undefined): void {
    if (this.ended) return;
    this.ended = true;
    this.failure = failure;
    this.#deliver();
  }

  drop(): void {
    this.#ready.clear();
  }

  /** Nobody waits any more. A failure that comes is for who asks then. */
  abandon(): void {
    for (let next = this.#requests.shift(); next !== undefined; next = this.#requests.shift())
      next.resolve(done);
  }

  /** Resolves when the failure has been taken, if ever. */
  taken(): Promise<void> {
    return new Promise((resolve) => {
      if (this.failure === undefined) resolve();
      else this.#onTaken = resolve;
    });
  }

  take(): Failure | undefined {
    const failure = this.failure;
    this.failure = undefined;
    this.#onTaken?.();
    return failure;
  }

  #deliver(): void {
    while (this.#requests.size > 0) {
      const value = this.#ready.get(this.#next);
      if (value !== undefined || this.#ready.has(this.#next)) {
        this.#ready.delete(this.#next++);
        this.#requests.shift()?.resolve({ done: false, value: value as R });
      } else if (this.ended) {
        const failure = this.take();
        const request = this.#requests.shift();
        if (failure === undefined) request?.resolve(done);
        else request?.reject(failure.error);
        if (failure?.isReason === true && request !== undefined) markHandled(request.promise);
      } else return;
    }
  }
}
