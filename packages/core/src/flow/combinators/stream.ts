import { isCancelled } from "../../errors/cancelled.js";
import { optionNames } from "../../errors/option-names.js";
import { checkType, requireFunction } from "../../errors/validate.js";
import { callSite } from "../../kernel/call-site.js";
import { cancel, fail, throwFailure } from "../../kernel/lifecycle.js";
import type { ScopeNode } from "../../kernel/node.js";
import { ignore, type PromiseObserver } from "../../kernel/observer.js";
import { done, throttledDone, hasExceededOwnTimeout, throttle } from "../../kernel/throttled-results.js";
import type { Scope } from "../../kernel/scope.js";
import {
  initialAttached,
  initialScope,
  isClosed,
  markDelivered,
  markUndelivered,
} from "../../kernel/state.js";
import { nodeOf } from "../../task/node-of.js";
import { startChild } from "../../task/child.js";
import { combinatorNames } from "./combinator-options.js";
import { Group, timeoutOption } from "./group.js";
import { type ItemWorker, type MapOptions, checkMapOptions } from "./map.js";
import { ResultQueue, type StreamFailure } from "./result-queue.js";
import { checkSource, SourceReader, openSource, type ItemReceiver, type Source } from "./source.js";

/** The options of {@link stream}. */
export interface StreamOptions extends MapOptions {
  /** How many items are processed concurrently, including the item that the consumer is processing. Default 1. */
  readonly concurrency?: number | undefined;
  /**
   * Milliseconds that the iteration may take, counted from the first `next()`. When they have passed, everything in it is
   * cancelled, and `next()` rejects with a `DeadlineExceededError`. Default: no limit.
   */
  readonly timeout?: number | undefined;
  /** Whether results are yielded in the order of the items, rather than as they become ready. Default `true`. */
  readonly ordered?: boolean | undefined;
}

const streamOptionNames = /* @__PURE__ */ optionNames<StreamOptions>({
  ...combinatorNames,
  concurrency: true,
  ordered: true,
});

/**
 * Calls `worker` for each item, each as a task, and yields the results in the order of the items.
 *
 * By default it behaves as `for await (const item of items) yield await worker(item)` in an async generator, but in a
 * scope, and with a `concurrency`. No task is started before the first `next()`. After that at most `concurrency`
 * items are being processed, wait to be read, or are with the consumer, so an endless source needs no more memory
 * than that. A stream that is not read to its end does not keep its scope open: it is cancelled when the scope has
 * nothing else to do.
 *
 * **Failure:** the first failure, of a task or of the source, cancels the rest (kind `"failure"`). When everything has
 * settled, `next()` first yields the results that were ready, then rejects with that failure. Only the consumer receives
 * it; if the consumer has not read it when the scope ends, it is a failure of the scope.
 *
 * **Cancellation:** leaving the loop (`return()`) cancels the running tasks with kind `"closed"`, calls the source's
 * `return()`, and waits for both. When `scope` is cancelled, the same happens, and `next()` rejects with the reason.
 *
 * @param scope - The owner of the tasks.
 * @param items - Any iterable or async iterable, or a function of the scope that returns one.
 * @param worker - Called with the item, the scope of its task, and the index of the item.
 * @param options - How many items are processed concurrently, and whether the results are `ordered`; `name`, and `timeout`
 *   in ms.
 * @returns An iterator for one consumer. Its `next()` rejects with `ScopeClosedError` if `scope` has ended.
 * @throws {TypeError | RangeError} If an argument is bad.
 * @example
 * ```ts
 * await withScope(async (scope) => {
 *   function* numbers() { for (let n = 1; ; n++) yield n; }
 *   for await (const square of stream(scope, numbers(), async (n) => n * n, { concurrency: 4 })) {
 *     if (square > 10) break;
 *     console.log(square); // 1, 4, 9
 *   }
 * });
 * ```
 */
export function stream<T, R>(
  scope: Scope,
  items: Source<T>,
  worker: ItemWorker<T, R>,
  options?: StreamOptions,
): AsyncIterableIterator<R> {
  checkSource("stream", items);
  requireFunction("stream", "worker", worker);
  if (options !== undefined) {
    checkMapOptions("stream", options, streamOptionNames);
    checkType("stream", "ordered", "boolean", options.ordered);
  }
  // A copy: the options are read again when the work begins.
  return new Stream(nodeOf("stream", "scope", scope), items, worker, { ...options }, callSite(stream));
}

/** `stream`, one item at a time, for another public function, which was called at `site`. */
export function streamFrom<T, R>(
  scope: ScopeNode,
  items: Source<T>,
  worker: ItemWorker<T, R>,
  site: string | undefined,
): AsyncIterableIterator<R> {
  return new Stream(scope, items, worker, {}, site);
}

/**
 * Resolves the pending `next()` calls of `results` with `done`, for a consumer that no longer needs them: it would receive
 * a failure and discard it.
 */
export function abandonReads(results: AsyncIterableIterator<unknown>): void {
  if (results instanceof Stream) results.abandon();
}

class Stream<T, R> implements AsyncIterableIterator<R, undefined> {
  /** Not an owner handle: the tasks of a stream must not keep a handle alive. */
  readonly #scope: ScopeNode;
  /** The call site of `stream`. The work begins later, in `next()`. */
  readonly #site: string | undefined;
  readonly #options: StreamOptions;
  readonly #results: ResultQueue<R>;
  /** Made with the first request. A stream that was not read has nothing to close and delays no scope. */
  #owner: StreamScope | undefined;
  #group: StreamGroup<T, R> | undefined;
  #returning = false;
  readonly #run: (own: Scope) => Promise<void>;

  constructor(
    scope: ScopeNode,
    items: Source<T>,
    worker: ItemWorker<T, R>,
    options: StreamOptions,
    site: string | undefined,
  ) {
    const { concurrency = 1, ordered = true } = options;
    this.#scope = scope;
    this.#site = site;
    this.#options = options;
    this.#results = new ResultQueue(ordered);
    this.#run = (own) => {
      this.#group = new StreamGroup(this.#site, own, worker, this.#results, concurrency);
      return this.#group.run(items);
    };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<R, undefined>> {
    if (this.#results.isExhausted) return throttledDone();
    const result = this.#results.request();
    try {
      if (this.#owner === undefined && !this.#results.ended && !this.#begin())
        return throttle(result, this.#scope.reason !== undefined);
      this.#group?.wake();
    } catch (error) {
      result.then(undefined, ignore); // the caller gets the exception instead
      throw error;
    }
    return result;
  }

  abandon(): void {
    this.#results.abandon();
  }

  async return(): Promise<IteratorResult<R, undefined>> {
    this.#returning = true;
    this.#results.discard();
    const owner = this.#owner;
    if (owner === undefined) this.#results.end();
    else cancel(owner.node, "closed");
    await owner?.promise;
    const failure = this.#results.takeFailure();
    if (failure !== undefined && failure.error !== owner?.node.reason) throw failure.error;
    return done;
  }

  /** Starts the work. Returns false if there is none to start: the scope refuses it, or it has no time. */
  #begin(): boolean {
    try {
      const onSettled = (failure?: StreamFailure): boolean => this.#finish(failure);
      const owner = new StreamScope(this.#site, this.#scope, this.#options, onSettled);
      this.#owner = owner;
      startChild(owner.node, (own) => this.#work(own), timeoutOption(this.#options), this.#site, "stream");
      return !isClosed(owner.node);
    } catch (error) {
      const isReason = isCancelled(error);
      this.#results.end({ error, isReason, isHandled: isReason });
      return false;
    }
  }

  async #work(own: Scope): Promise<void> {
    try {
      await this.#run(own);
    } catch (error) {
      if (!own.cancelled) {
        this.#results.end({ error });
        await Promise.race([this.#results.failureTaken(), new Promise((resolve) => own.onCancel(resolve))]);
        if (this.#results.failure === undefined) return;
      }
      if (this.#group?.node.reason === error) throw error; // the source has cancelled its scope
      throwFailure(own as ScopeNode, error);
    }
  }

  /** Called when the scope of the stream has settled. Returns whether no failure is left for the consumer to read. */
  #finish(failure: StreamFailure | undefined): boolean {
    const isReason = failure?.isReason === true;
    if (failure !== undefined) this.#results.discard();
    this.#results.end(isReason && this.#returning ? undefined : failure);
    if (isReason || this.#returning || this.#results.failure === undefined) return true;
    void this.#results.failureTaken().then(() => this.#owner?.failureDelivered());
    return false;
  }
}

/**
 * The scope of a stream, a child of the scope that `stream` was called with.
 *
 * It is a daemon: a stream that is not read to its end must not keep its parent open. It outlives a failed
 * {@link StreamGroup} until the consumer has read the failure. If the consumer never does, the parent receives the failure,
 * as it receives the failure of a handle that no `join` or `close` receives. Its promise resolves when it has settled.
 */
class StreamScope extends Group<void> {
  /**
   * @param onSettled - Called when it settles. Returns whether the failure needs no other receiver; a cancellation
   *   needs none.
   */
  constructor(
    site: string | undefined,
    scope: Scope,
    options: StreamOptions,
    onSettled: (failure?: StreamFailure) => boolean,
  ) {
    super("stream", site, scope, initialAttached, options);
    const node = this.node;
    const { resolve } = node.observer as PromiseObserver<void>;
    node.observer = {
      resolve: () => {
        onSettled();
        resolve(undefined);
      },
      reject: (error) => {
        const isReason = node.extras?.errors === undefined;
        if (!onSettled({ error, isReason, isHandled: isReason && !hasExceededOwnTimeout(node) }))
          markUndelivered(node);
        resolve(undefined);
      },
    };
  }

  /** The consumer has read the failure. */
  failureDelivered(): void {
    markDelivered(this.node);
  }

  succeeded(): void {}
  failed(): void {}
}

/** The scope of the work: the source, and a task for each item. */
class StreamGroup<T, R> extends Group<void> implements ItemReceiver<T> {
  readonly #worker: ItemWorker<T, R>;
  readonly #results: ResultQueue<R>;
  readonly #concurrency: number;
  readonly #reader: SourceReader<T>;
  #started = 0;

  constructor(
    site: string | undefined,
    scope: Scope,
    worker: ItemWorker<T, R>,
    results: ResultQueue<R>,
    concurrency: number,
  ) {
    super("items", site, scope, initialScope);
    this.#worker = worker;
    this.#results = results;
    this.#concurrency = concurrency;
    this.#reader = new SourceReader(this.node, this);
  }

  run(items: Source<T>): Promise<void> {
    const body = (own: Scope): Promise<void> => this.#reader.readAll(openSource("stream", items, own));
    startChild(this.node, body, undefined, this.site, "stream");
    return this.promise;
  }

  /** Called when the consumer has requested one more result. */
  wake(): void {
    this.#reader.wake();
  }

  /** The item that the consumer is processing counts until it requests the next. */
  hasRoom(): boolean {
    return this.#started < this.#results.requested - 1 + this.#concurrency;
  }

  accept(item: T, index: number): void {
    this.#started += 1;
    const worker = this.#worker;
    this.start(worker, (own) => worker(item, own, index), index);
  }

  succeeded(value: unknown, index: number): void {
    this.#results.push(value as R, index);
  }

  failed(error: unknown): void {
    fail(this.node, error);
  }
}
