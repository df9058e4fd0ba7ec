import { isCancelled } from "../../errors/cancelled.js";
import type { ScopeNode } from "../../kernel/node.js";
import { endedAlready, yieldBefore } from "../../kernel/refusal.js";
import type { Scope } from "../../kernel/scope.js";
import { cancel, throwFailure } from "../../kernel/lifecycle.js";
import { callSite } from "../../kernel/call-site.js";
import { optionNames } from "../../errors/option-names.js";
import { checkType, requireFunction } from "../../errors/validate.js";
import { nodeOf } from "../../task/resolve.js";
import { startChild } from "../../task/start-child.js";
import { checkMapOptions, type MapOptions, type Mapper } from "./map.js";
import { done, Outlet, type Failure } from "./outlet.js";
import { checkSource, type Source } from "./source.js";
import { StreamGroup, StreamScope } from "./stream-group.js";

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
  return new Stream(nodeOf("stream", "scope", scope), items, fn, concurrency, ordered);
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
  readonly #site: string | undefined = callSite(stream);
  readonly #outlet: Outlet<R>;
  /** Made with the first request: what has not begun has nothing to close, and holds nobody up. */
  #owner: StreamScope | undefined;
  #group: StreamGroup<T, R> | undefined;
  #returning = false;
  readonly #run: (own: Scope) => Promise<void>;

  constructor(scope: ScopeNode, items: Source<T>, fn: Mapper<T, R>, concurrency: number, ordered: boolean) {
    this.#scope = scope;
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
