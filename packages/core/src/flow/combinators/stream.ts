import { isCancelled } from "../../errors/cancelled.js";
import { optionNames } from "../../errors/option-names.js";
import { checkType, requireFunction } from "../../errors/validate.js";
import { callSite } from "../../kernel/call-site.js";
import { cancel, fail, throwFailure } from "../../kernel/lifecycle.js";
import type { ScopeNode } from "../../kernel/node.js";
import { type Promised, createPromised } from "../../kernel/promised.js";
import { endedAlready, markHandled, yieldBefore } from "../../kernel/refusal.js";
import type { Scope } from "../../kernel/scope.js";
import { DAEMON, DELIVERED, FAILS_PARENT, QUEUED } from "../../kernel/state.js";
import { nodeOf } from "../../task/resolve.js";
import { startChild } from "../../task/start-child.js";
import { Fifo } from "../sync/fifo.js";
import { Group } from "./group.js";
import { type MapOptions, type Mapper, checkMapOptions } from "./map.js";
import { checkSource, Feed, openSource, type Sink, type Source } from "./source.js";

/** What {@link stream} takes. */
export interface StreamOptions extends MapOptions {
  /** How many items are worked on at once, the one that the consumer has in hand included. Default 1. */
  readonly concurrency?: number | undefined;
  /** Whether results come in the order of the items or as they are ready. Default `true`. */
  readonly ordered?: boolean | undefined;
}

const streamOptionNames = optionNames<StreamOptions>({ concurrency: true, ordered: true });

/**
 * Calls `fn` for each item, each as a task, and gives the results one by one, in the order of the items: by default
 * what `for await (const item of items) yield await fn(item)` does in an async generator, but with a scope, and
 * with a `concurrency`.
 *
 * Nothing is started before the first `next()`. After that at most `concurrency` items are being worked on, wait to
 * be taken, or are in the consumer's hands: an endless source needs no more memory than that. A stream that nobody
 * reads on does not keep its scope from ending: it is stopped when nothing else is left there.
 *
 * **Failure:** the first failure, of `fn` or of the source, cancels the rest (kind `"failure"`). When everything
 * has settled, `next()` first gives what was ready, then rejects with that failure. It goes to the consumer alone;
 * if nobody has taken it when the scope ends, it is the scope's.
 *
 * **Cancellation:** leaving the loop (`return()`) cancels what is running with kind `"closed"`, calls the source's
 * `return()`, and waits for both. When `scope` is cancelled, the same happens, and `next()` rejects with the reason.
 *
 * @param scope - The owner.
 * @param items - Any iterable or async iterable, or a function of the scope that returns one.
 * @param fn - Gets the item, the scope of its own task, and the item's index.
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
 * Ends the `next()` calls that are pending, for a consumer that has got its answer elsewhere: so it does not take a
 * failure that it would drop.
 */
export function abandonReads(results: AsyncIterableIterator<unknown>): void {
  if (results instanceof Stream) results.abandon();
}

function ignore(): void {}

class Stream<T, R> implements AsyncIterableIterator<R, undefined> {
  /** A node, and no owner handle: the work of a stream must not keep one alive. */
  readonly #scope: ScopeNode;
  /** Where `stream` was called: the work begins later. */
  readonly #site: string | undefined;
  readonly #outlet: Outlet<R>;
  /** Made with the first request: what has not begun has nothing to close, and holds nobody up. */
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
    this.#outlet = new Outlet(ordered);
    this.#run = (own) => {
      this.#group = new StreamGroup(this.#site, own, fn, this.#outlet, concurrency);
      return this.#group.run(items);
    };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<R, undefined>> {
    if (this.#outlet.isOver) return endedAlready();
    const result = this.#outlet.request();
    try {
      if (this.#owner === undefined && !this.#outlet.ended && !this.#begin())
        return yieldBefore(result, this.#scope.reason !== undefined);
      this.#group?.wake();
    } catch (error) {
      result.then(undefined, ignore); // the caller gets the exception instead
      throw error;
    }
    return result;
  }

  abandon(): void {
    this.#outlet.abandon();
  }

  async return(): Promise<IteratorResult<R, undefined>> {
    this.#returning = true;
    this.#outlet.drop();
    const owner = this.#owner;
    if (owner === undefined) this.#outlet.end(undefined);
    else cancel(owner.node, "closed", undefined);
    await owner?.promise;
    const failure = this.#outlet.take();
    if (failure !== undefined && failure.error !== owner?.node.reason) throw failure.error;
    return done;
  }

  /** Says whether its scope takes it. */
  #begin(): boolean {
    try {
      this.#owner = new StreamScope(this.#site, this.#scope, (failure) => this.#finish(failure));
      startChild(this.#owner.node, undefined, this.#site, (own) => this.#work(own), "stream");
      return true;
    } catch (error) {
      this.#outlet.end({ error, isReason: isCancelled(error) });
      return false;
    }
  }

  async #work(own: Scope): Promise<void> {
    try {
      await this.#run(own);
    } catch (error) {
      if (!own.cancelled) {
        this.#outlet.end({ error });
        await Promise.race([this.#outlet.taken(), new Promise((resolve) => own.onCancel(resolve))]);
        if (this.#outlet.failure === undefined) return;
      }
      if (this.#group?.node.reason === error) throw error; // its source has cancelled itself
      throwFailure(own as ScopeNode, error);
    }
  }

  /** The stream's scope has settled. Says whether there is no failure left that somebody has to receive. */
  #finish(failure: Failure | undefined): boolean {
    const isReason = failure?.isReason === true;
    if (failure !== undefined) this.#outlet.drop();
    this.#outlet.end(isReason && this.#returning ? undefined : failure);
    if (isReason || this.#returning || this.#outlet.failure === undefined) return true;
    void this.#outlet.taken().then(() => this.#owner?.delivered());
    return false;
  }
}

/**
 * The scope of a stream as its owner sees it. A daemon: a stream that nobody reads on must not keep the owner from
 * ending. It outlives a failed {@link StreamGroup} until somebody has taken the failure. If nobody does, that is its
 * owner's: as a handle's failure that no `join` or `close` receives. Its promise resolves when it has settled.
 */
export class StreamScope extends Group<void> {
  /**
   * @param end - Called when it settles; says whether the failure is taken, which a mere reason always is.
   */
  constructor(site: string | undefined, scope: Scope, end: (failure?: Failure) => boolean) {
    super("stream", site, scope, DAEMON | FAILS_PARENT | QUEUED);
    const node = this.node;
    const { resolve } = node.observer as Promised<void>;
    node.observer = {
      resolve: () => {
        end();
        resolve(undefined);
      },
      reject: (error) => {
        if (!end({ error, isReason: node.rarely?.errors === undefined })) node.flags &= ~DELIVERED;
        resolve(undefined);
      },
    };
  }

  /** Somebody has taken the failure. */
  delivered(): void {
    this.node.flags |= DELIVERED;
  }

  succeeded(): void {}
  failed(): void {}
}

/** The work of a stream: the source and the items in flight. */
export class StreamGroup<T, R> extends Group<void> implements Sink<T> {
  readonly #fn: Mapper<T, R>;
  readonly #outlet: Outlet<R>;
  readonly #concurrency: number;
  readonly #feed: Feed<T>;
  #started = 0;

  constructor(
    site: string | undefined,
    scope: Scope,
    fn: Mapper<T, R>,
    outlet: Outlet<R>,
    concurrency: number,
  ) {
    super("items", site, scope, QUEUED);
    this.node.rare().bodyIs = "source";
    this.#fn = fn;
    this.#outlet = outlet;
    this.#concurrency = concurrency;
    this.#feed = new Feed(this.node, this);
  }

  run(items: Source<T>): Promise<void> {
    const body = (own: Scope): Promise<void> => this.#feed.pull(openSource("stream", items, own));
    startChild(this.node, undefined, this.site, body, "stream");
    return this.promise;
  }

  /** The consumer has asked for one more. */
  wake(): void {
    this.#feed.wake();
  }

  /** What the consumer has in hand counts until it asks for the next. */
  hasRoom(): boolean {
    return this.#started < this.#outlet.requested - 1 + this.#concurrency;
  }

  accept(item: T, index: number): void {
    this.#started += 1;
    const fn = this.#fn;
    this.start(fn, (own) => fn(item, own, index), index);
  }

  succeeded(value: unknown, index: number): void {
    this.#outlet.push(value as R, index);
  }

  failed(error: unknown): void {
    fail(this.node, error);
  }
}

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
