import { isCancelled } from "../../errors/cancelled.js";
import { optionNames } from "../../errors/option-names.js";
import { checkType, requireFunction } from "../../errors/validate.js";
import { callSite } from "../../kernel/call-site.js";
import { cancel, fail, throwFailure } from "../../kernel/lifecycle.js";
import type { ScopeNode } from "../../kernel/node.js";
import { type Promised, createPromised } from "../../kernel/promised.js";
import { endedAlready, markHandled, yieldBefore } from "../../kernel/refusal.js";
import type { Scope } from "../../kernel/scope.js";
import { initialAttached, initialScope, markDelivered, markUndelivered } from "../../kernel/state.js";
import { nodeOf } from "../../task/resolve.js";
import { startChild } from "../../task/start-child.js";
import { Fifo } from "../sync/fifo.js";
import { Group } from "./group.js";
import { type MapOptions, type Mapper, checkMapOptions } from "./map.js";
import { checkSource, SourceReader, openSource, type ItemReceiver, type Source } from "./source.js";

/** The options of {@link stream}. */
export interface StreamOptions extends MapOptions {
  /** How many items are processed concurrently, including the item that the consumer is processing. Default 1. */
  readonly concurrency?: number | undefined;
  /** Whether results come in the order of the items, and not as they are ready. Default `true`. */
  readonly ordered?: boolean | undefined;
}

const streamOptionNames = optionNames<StreamOptions>({ concurrency: true, ordered: true });

/**
 * Calls `fn` for each item, each as a task, and yields the results in the order of the items.
 *
 * By default it does what `for await (const item of items) yield await fn(item)` does in an async generator, but in a
 * scope, and with a `concurrency`. No task is started before the first `next()`. After that at most `concurrency` items
 * are being processed, wait to be read, or are with the consumer, so an endless source needs no more memory than that. A
 * stream that is not read to its end does not keep its scope open: it is cancelled when the scope has nothing else to do.
 *
 * **Failure:** the first failure, of `fn` or of the source, cancels the rest (kind `"failure"`). When everything has
 * settled, `next()` first yields the results that were ready, then rejects with that failure. Only the consumer receives
 * it; if the consumer has not read it when the scope ends, it is a failure of the scope.
 *
 * **Cancellation:** leaving the loop (`return()`) cancels the running tasks with kind `"closed"`, calls the source's
 * `return()`, and waits for both. When `scope` is cancelled, the same happens, and `next()` rejects with the reason.
 *
 * @param scope - The owner of the tasks.
 * @param items - Any iterable or async iterable, or a function of the scope that returns one.
 * @param fn - Called with the item, the scope of its task, and the index of the item.
 * @param options - `concurrency`, and whether the results are `ordered`.
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
  fn: Mapper<T, R>,
  options?: StreamOptions,
): AsyncIterableIterator<R> {
  checkSource("stream", items);
  requireFunction("stream", "fn", fn);
  const concurrency = checkMapOptions("stream", options, streamOptionNames) ?? 1;
  checkType("stream", "ordered", "boolean", options?.ordered);
  const ordered = options?.ordered ?? true;
  return new Stream(nodeOf("stream", "scope", scope), items, fn, concurrency, ordered, callSite(stream));
}

/** `stream`, one item at a time, for another public function, which was called at `site`. */
export function streamFrom<T, R>(
  scope: ScopeNode,
  items: Source<T>,
  fn: Mapper<T, R>,
  site: string | undefined,
): AsyncIterableIterator<R> {
  return new Stream(scope, items, fn, 1, true, site);
}

/**
 * Resolves the pending `next()` calls of `results` with `done`, for a consumer that no longer needs them: it would receive
 * a failure and discard it.
 */
export function abandonReads(results: AsyncIterableIterator<unknown>): void {
  if (results instanceof Stream) results.abandon();
}

function ignore(): void {}

class Stream<T, R> implements AsyncIterableIterator<R, undefined> {
  /** Not an owner handle: the tasks of a stream must not keep a handle alive. */
  readonly #scope: ScopeNode;
  /** The call site of `stream`. The work begins later, in `next()`. */
  readonly #site: string | undefined;
  readonly #results: ResultQueue<R>;
  /** Made with the first request. A stream that was not read has nothing to close and delays no scope. */
  #owner: StreamScope | undefined;
  #group: StreamGroup<T, R> | undefined;
  #returning = false;
  readonly #run: (own: Scope) => Promise<void>;

  constructor(
    scope: ScopeNode,
    items: Source<T>,
    fn: Mapper<T, R>,
    concurrency: number,
    ordered: boolean,
    site: string | undefined,
  ) {
    this.#scope = scope;
    this.#site = site;
    this.#results = new ResultQueue(ordered);
    this.#run = (own) => {
      this.#group = new StreamGroup(this.#site, own, fn, this.#results, concurrency);
      return this.#group.run(items);
    };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<R, undefined>> {
    if (this.#results.isExhausted) return endedAlready();
    const result = this.#results.request();
    try {
      if (this.#owner === undefined && !this.#results.ended && !this.#begin())
        return yieldBefore(result, this.#scope.reason !== undefined);
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
    if (owner === undefined) this.#results.end(undefined);
    else cancel(owner.node, "closed", undefined);
    await owner?.promise;
    const failure = this.#results.takeFailure();
    if (failure !== undefined && failure.error !== owner?.node.reason) throw failure.error;
    return done;
  }

  /** Starts the work. Returns false if the scope refuses it. */
  #begin(): boolean {
    try {
      this.#owner = new StreamScope(this.#site, this.#scope, (failure) => this.#finish(failure));
      startChild(this.#owner.node, undefined, this.#site, (own) => this.#work(own), "stream");
      return true;
    } catch (error) {
      this.#results.end({ error, isReason: isCancelled(error) });
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
  #finish(failure: Failure | undefined): boolean {
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
  constructor(site: string | undefined, scope: Scope, onSettled: (failure?: Failure) => boolean) {
    super("stream", site, scope, initialAttached);
    const node = this.node;
    const { resolve } = node.observer as Promised<void>;
    node.observer = {
      resolve: () => {
        onSettled();
        resolve(undefined);
      },
      reject: (error) => {
        if (!onSettled({ error, isReason: node.extras?.errors === undefined })) markUndelivered(node);
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
  readonly #fn: Mapper<T, R>;
  readonly #results: ResultQueue<R>;
  readonly #concurrency: number;
  readonly #reader: SourceReader<T>;
  #started = 0;

  constructor(
    site: string | undefined,
    scope: Scope,
    fn: Mapper<T, R>,
    results: ResultQueue<R>,
    concurrency: number,
  ) {
    super("items", site, scope, initialScope);
    this.node.ensureExtras().bodyIs = "source";
    this.#fn = fn;
    this.#results = results;
    this.#concurrency = concurrency;
    this.#reader = new SourceReader(this.node, this);
  }

  run(items: Source<T>): Promise<void> {
    const body = (own: Scope): Promise<void> => this.#reader.readAll(openSource("stream", items, own));
    startChild(this.node, undefined, this.site, body, "stream");
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

  override get isPartOfCaller(): boolean {
    return false;
  }

  accept(item: T, index: number): void {
    this.#started += 1;
    const fn = this.#fn;
    this.start(fn, (own) => fn(item, own, index), index);
  }

  succeeded(value: unknown, index: number): void {
    this.#results.push(value as R, index);
  }

  failed(error: unknown): void {
    fail(this.node, error);
  }
}

export interface Failure {
  readonly error: unknown;
  /** Whether it is the reason of the scope, which nobody has to receive. */
  readonly isReason?: boolean;
}

const done: IteratorReturnResult<undefined> = { done: true, value: undefined };

/** The results that the consumer has not requested yet, and its `next()` calls that have no result yet. */
class ResultQueue<R> {
  /** How many results were requested so far. */
  requested = 0;
  /** The failure that ended the stream, until the consumer has received it. */
  failure: Failure | undefined = undefined;
  ended = false;
  readonly #ordered: boolean;
  #ready = new Map<number, R>();
  /** The key in {@link #ready} of the next result. In an unordered queue the keys are the order of arrival. */
  #next = 0;
  #pushed = 0;
  readonly #requests = new Fifo<Promised<IteratorResult<R, undefined>>>();
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
    const request = createPromised<IteratorResult<R, undefined>>();
    this.#requests.push(request);
    this.#deliver();
    return request.promise;
  }

  push(value: R, index: number): void {
    this.#ready.set(this.#ordered ? index : this.#pushed++, value);
    this.#deliver();
  }

  /** Ends the queue. The results that are ready are delivered first, then the failure, once. */
  end(failure: Failure | undefined): void {
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

  takeFailure(): Failure | undefined {
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
        if (failure?.isReason === true && request !== undefined) markHandled(request.promise);
      } else return;
    }
  }
}
