import { QUEUED } from "../../kernel/state.js";
import { failToBegin } from "../../kernel/refusal.js";
import type { Scope } from "../../kernel/scope.js";
import { callSite } from "../../kernel/call-site.js";
import { fail } from "../../kernel/lifecycle.js";
import { optionNames, type OptionNames } from "../../errors/option-names.js";
import { requireFunction, checkLimit, checkOptionsObject } from "../../errors/validate.js";
import type { Worker } from "../../task/run.js";
import { startChild } from "../../task/start-child.js";
import { Group } from "./group.js";
import { checkSource, Feed, openSource, type Sink, type Source } from "./source.js";

/** What {@link map} takes. */
export interface MapOptions {
  /** How many items are worked on at once; a whole number from 1. Default: all of them. */
  readonly concurrency?: number | undefined;
}

const mapOptionNames = optionNames<MapOptions>({ concurrency: true });

/** What {@link map} and `stream` do with one item. */
export type Mapper<T, R> = (item: T, scope: Scope, index: number) => ReturnType<Worker<R>>;

/**
 * Calls `fn` for each item, each as a task, and resolves with the results in the order of the items.
 *
 * Takes an item from the source only when it can be worked on: with a `concurrency` an endless source is read no
 * further ahead. Without one, everything is started as fast as the source gives it. The results are kept until the
 * end; for an endless source use `stream`.
 *
 * **Failure:** the first failure, of `fn` or of the source, cancels the rest (kind `"failure"`) and is what the
 * promise rejects with once everything has settled, the same object. Nothing more is started; the source's
 * `return()` is called and awaited. The failure goes to the caller alone.
 *
 * **Cancellation:** when `scope` is cancelled, so is everything here; the source's `return()` is called and awaited,
 * and the promise rejects with the reason. A source that may wait for long should be a function of the scope, which
 * is cancelled with the rest: an async generator runs its `return()` only after the read that it is waiting for. In
 * a scope that is cancelled already the source is not touched.
 *
 * @param scope - The owner.
 * @param items - Any iterable or async iterable, or a function of the scope that returns one. Promises among the
 *   items are not awaited.
 * @param fn - Gets the item, the scope of its own task, and the item's index.
 * @returns The results.
 * @throws {ScopeClosedError} (as a rejection) If `scope` has ended.
 * @throws {TypeError | RangeError} (as a rejection) If an argument is bad. Nothing was started.
 * @example At most two at once
 * ```ts
 * const lengths = await withScope((scope) =>
 *   map(scope, ["a", "bb", "ccc"], async (word, own) => {
 *     await sleep(own, 1);
 *     return word.length;
 *   }, { concurrency: 2 }),
 * );
 * console.log(lengths); // [ 1, 2, 3 ]
 * ```
 */
export function map<T, R>(
  scope: Scope,
  items: Source<T>,
  fn: Mapper<T, R>,
  options?: MapOptions,
): Promise<R[]> {
  try {
    checkSource("map", items);
    requireFunction("map", "fn", fn);
    const concurrency = checkMapOptions("map", options) ?? Infinity;
    return new MapGroup<T, R>(scope, fn, concurrency).run(items);
  } catch (error) {
    return failToBegin(error);
  }
}

class MapGroup<T, R> extends Group<R[]> implements Sink<T> {
  readonly #fn: Mapper<T, R>;
  readonly #results: R[] = [];
  readonly #feed: Feed<T>;
  #room: number;

  constructor(scope: Scope, fn: Mapper<T, R>, concurrency: number) {
    super("map", callSite(map), scope, QUEUED);
    this.node.rare().bodyIs = "source";
    this.#fn = fn;
    this.#room = concurrency;
    this.#feed = new Feed(this.node, this);
  }

  run(items: Source<T>): Promise<R[]> {
    const body = async (own: Scope): Promise<R[]> => {
      await this.#feed.pull(openSource("map", items, own));
      return this.#results;
    };
    startChild(this.node, undefined, this.site, body, "map");
    return this.promise;
  }

  hasRoom(): boolean {
    return this.#room > 0;
  }

  accept(item: T, index: number): void {
    this.#room -= 1;
    const fn = this.#fn;
    this.start(fn, (own) => fn(item, own, index), index);
  }

  succeeded(value: unknown, index: number): void {
    this.#results[index] = value as R;
    this.#leave();
  }

  failed(error: unknown): void {
    fail(this.node, error);
  }

  #leave(): void {
    this.#room += 1;
    this.#feed.wake();
  }
}

/** Checks the options and returns the concurrency, if there is one. */
export function checkMapOptions(
  operation: string,
  options: MapOptions | undefined,
  names: OptionNames = mapOptionNames,
): number | undefined {
  if (options === undefined) return undefined;
  checkOptionsObject(operation, options, names, "{ concurrency: 10 }");
  checkLimit(operation, "concurrency", options.concurrency, 1);
  return options.concurrency;
}
