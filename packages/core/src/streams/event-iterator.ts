import { isCancelled } from "../errors/cancelled.js";
import { attach } from "../flow/lifetime/attach.js";
import { Fifo } from "../flow/sync/fifo.js";
import type { StreamFailure } from "../flow/combinators/result-queue.js";
import type { ScopeNode } from "../kernel/node.js";
import { withResolvers, type PromiseObserver } from "../kernel/observer.js";
import { done, markHandled, throttle } from "../kernel/throttled-results.js";
import type { Scope } from "../kernel/scope.js";
import { cancel, fail } from "../kernel/lifecycle.js";

/** The common part of event targets and emitters. */
export interface AnyEmitter {
  /** Whether a listener receives one argument, the event. */
  readonly single: boolean;
  add(name: string | symbol, listener: (...values: unknown[]) => void): void;
  remove(name: string | symbol, listener: (...values: unknown[]) => void): void;
}

type Add = (source: AnyEmitter, name: string | symbol, listener: (...values: unknown[]) => void) => void;
type Result = IteratorResult<unknown, undefined>;

/** Buffers the events that were not requested yet, and queues the calls of `next()` that have no event yet. */
export class EventIterator implements AsyncIterableIterator<unknown, undefined> {
  readonly #buffer: number;
  readonly #ready = new Fifo<unknown>();
  readonly #requests = new Fifo<PromiseObserver<Result>>();
  #ended = false;
  /** The next call of `next()` rejects with this. */
  #failure: StreamFailure | undefined;
  #node: ScopeNode | undefined;
  #removals: (() => void)[] = [];

  constructor(buffer: number) {
    this.#buffer = buffer;
  }

  /** Listens until the scope ends. In a scope that is already cancelled it does not add a listener. */
  attach(scope: Scope, site: string | undefined, listen: (add: Add) => void): void {
    try {
      this.#node = attach("events", scope, site, (own) => this.#serve(own));
    } catch (error) {
      if (!isCancelled(error)) throw error;
      return this.end({ error, isReason: true });
    }
    // Its scope is ending: the node started cancelled, and nothing would remove the listeners.
    if (this.#node.reason !== undefined) return this.end({ error: this.#node.reason, isReason: true });
    try {
      listen((source, name, listener) => {
        source.add(name, listener);
        this.#removals.push(() => source.remove(name, listener));
      });
    } catch (error) {
      this.end(undefined); // the caller does not receive the iterator, so it can't end it
      throw error;
    }
  }

  #serve(own: Scope): Promise<void> {
    return new Promise((resolve) => {
      own.onCancel((reason) => {
        const untaken = this.#failure;
        if (!this.#ended) {
          while (this.#ready.size > 0) this.#ready.shift();
          this.end({ error: reason, isReason: true });
        }
        if (untaken !== undefined) fail(own as ScopeNode, untaken.error);
        resolve();
      });
    });
  }

  push(value: unknown): void {
    const request = this.#requests.shift();
    if (request !== undefined) return request.resolve({ done: false, value });
    this.#ready.push(value);
    if (this.#ready.size > this.#buffer) this.#ready.shift();
  }

  end(failure: StreamFailure | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#removeListeners();
    this.#failure = failure;
    for (let next = this.#requests.shift(); next !== undefined; next = this.#requests.shift())
      this.#close(next);
    if (this.#failure === undefined) this.#detach();
  }

  /** A target that throws here must not keep the callers of `next()` waiting, nor the scope. */
  #removeListeners(): void {
    for (const remove of this.#removals.splice(0)) {
      try {
        remove();
      } catch (error) {
        if (this.#node !== undefined) fail(this.#node, error);
      }
    }
  }

  #close({ resolve, reject, promise }: PromiseObserver<Result>): void {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure === undefined) return resolve(done);
    if (failure.isReason === true) markHandled(promise);
    this.#detach();
    reject(failure.error);
  }

  #detach(): void {
    if (this.#node !== undefined) cancel(this.#node, "closed", undefined);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Result> {
    if (this.#ready.size > 0) return Promise.resolve({ done: false, value: this.#ready.shift() });
    const request = withResolvers<Result>();
    if (!this.#ended) {
      this.#requests.push(request);
      return request.promise;
    }
    const isReason = this.#failure?.isReason === true;
    this.#close(request);
    return throttle(request.promise, isReason);
  }

  return(): Promise<Result> {
    while (this.#ready.size > 0) this.#ready.shift();
    this.#failure = undefined;
    this.end(undefined);
    this.#detach();
    return Promise.resolve(done);
  }
}
