import { type PromiseObserver, withResolvers } from "../../kernel/observer.js";
import { done, markHandled } from "../../kernel/throttled-results.js";
import { Fifo } from "../sync/fifo.js";

/** The failure or the reason that has ended a stream. */
export interface StreamFailure {
  readonly error: unknown;
  /** Whether it is the reason of the scope: then it is not a failure. */
  readonly isReason?: boolean;
  /** Whether the failure also goes to the receivers of a scope above. Then it counts as handled here. */
  readonly isHandled?: boolean;
}

/** The results that the consumer has not requested yet, and its `next()` calls that have no result yet. */
export class ResultQueue<R> {
  /** How many results were requested so far. */
  requested = 0;
  /** The failure that ended the stream, until the consumer has received it. */
  failure: StreamFailure | undefined = undefined;
  ended = false;
  readonly #ordered: boolean;
  #ready = new Map<number, R>();
  /** The key in {@link #ready} of the next result. In an unordered queue the keys are the order of arrival. */
  #next = 0;
  #pushed = 0;
  readonly #requests = new Fifo<PromiseObserver<IteratorResult<R, undefined>>>();
  #onTaken: (() => void) | undefined;

  constructor(ordered: boolean) {
    this.#ordered = ordered;
  }

  /** Whether it has ended and has neither a result nor a failure left. */
  get isExhausted(): boolean {
    return this.ended && this.failure === undefined && this.#ready.size === 0;
  }

  request(): Promise<IteratorResult<R, undefined>> {
    this.requested += 1;
    const request = withResolvers<IteratorResult<R, undefined>>();
    this.#requests.push(request);
    this.#deliver();
    return request.promise;
  }

  push(value: R, index: number): void {
    this.#ready.set(this.#ordered ? index : this.#pushed++, value);
    this.#deliver();
  }

  /** Ends the queue. The results that are ready are delivered first, then the failure, once. */
  end(failure?: StreamFailure): void {
    if (this.ended) return;
    this.ended = true;
    this.failure = failure;
    this.#deliver();
  }

  discard(): void {
    this.#ready.clear();
  }

  /** Resolves the pending requests with `done`, so that a later request receives the failure. */
  abandon(): void {
    for (let next = this.#requests.shift(); next !== undefined; next = this.#requests.shift())
      next.resolve(done);
  }

  /** Resolves when the consumer has received the failure; never if it does not. */
  failureTaken(): Promise<void> {
    return new Promise((resolve) => {
      if (this.failure === undefined) resolve();
      else this.#onTaken = resolve;
    });
  }

  takeFailure(): StreamFailure | undefined {
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
        const failure = this.takeFailure();
        const request = this.#requests.shift();
        if (failure === undefined) request?.resolve(done);
        else request?.reject(failure.error);
        if (failure?.isHandled === true && request !== undefined) markHandled(request.promise);
      } else return;
    }
  }
}
