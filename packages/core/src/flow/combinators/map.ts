import { initialScope } from "../../kernel/state.js";
import { rejectBeforeStart, throttleIfStartedCancelled } from "../../kernel/throttled-results.js";
import type { Scope } from "../../kernel/scope.js";
import { callSite } from "../../kernel/call-site.js";
import { fail } from "../../kernel/lifecycle.js";
import { optionNames, type OptionNames } from "../../errors/option-names.js";
import { requireFunction, checkLimit } from "../../errors/validate.js";
import type { Worker } from "../../task/worker.js";
import { startChild } from "../../task/child.js";
import { checkCombinatorOptions, combinatorNames, type CombinatorOptions } from "./combinator-options.js";
import { Group, timeoutOption } from "./group.js";
import { checkSource, SourceReader, openSource, type ItemReceiver, type Source } from "./source.js";

/** The options of {@link map}. */
export interface MapOptions extends CombinatorOptions {
  /** How many items are processed concurrently; a whole number from 1. Default: no limit. */
  readonly concurrency?: number | undefined;
}

const mapOptionNames = /* @__PURE__ */ optionNames<MapOptions>({ ...combinatorNames, concurrency: true });

/** The worker that {@link map} and `stream` call for each item: with the item, the scope of its task, and the item's index. */
export type ItemWorker<T, R> = (item: T, scope: Scope, index: number) => ReturnType<Worker<R>>;

/**
 * Calls `worker` for each item, each as a task, and resolves with the results in the order of the items.
 *
 * With a `concurrency`, the next item is read from the source only when a task for it can start. Without one, tasks start
 * as fast as the source yields items. The results are kept until the end; for an endless source use `stream`.
 *
 * **Failure:** the first failure, of a task or of the source, cancels the rest (kind `"failure"`). No further task is
 * started, and the source's `return()` is called and awaited. Once everything has settled, the promise rejects with that
 * failure, the same object. Only the caller receives it.
 *
 * **Cancellation:** when `scope` is cancelled, so are the tasks and the source. The source's `return()` is called and
 * awaited, then the promise rejects with the reason. If `scope` is already cancelled, the source is not opened. If a
 * source may wait for a long time, pass a function of the scope, which is cancelled with the rest. An async generator
 * runs its `return()` only after its pending read.
 *
 * @param scope - The owner of the tasks.
 * @param items - Any iterable or async iterable, or a function of the scope that returns one. Promises among the
 *   items are not awaited.
 * @param worker - Called with the item, the scope of its task, and the index of the item.
 * @param options - How many items are processed concurrently; `name`, and `timeout` in ms.
 * @returns The results, in the order of the items.
 * @throws {DeadlineExceededError} (as a rejection) If `timeout` has passed.
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
  worker: ItemWorker<T, R>,
  options?: MapOptions,
): Promise<R[]> {
  try {
    checkSource("map", items);
    requireFunction("map", "worker", worker);
    if (options !== undefined) checkMapOptions("map", options, mapOptionNames);
    const group = new MapGroup<T, R>(scope, worker, options);
    return throttleIfStartedCancelled(group.node, group.run(items, options));
  } catch (error) {
    return rejectBeforeStart(error);
  }
}

class MapGroup<T, R> extends Group<R[]> implements ItemReceiver<T> {
  readonly #worker: ItemWorker<T, R>;
  readonly #results: R[] = [];
  readonly #reader: SourceReader<T>;
  #room: number;

  constructor(scope: Scope, worker: ItemWorker<T, R>, options: MapOptions | undefined) {
    super("map", callSite(map), scope, initialScope, options);
    this.#worker = worker;
    this.#room = options?.concurrency ?? Infinity;
    this.#reader = new SourceReader(this.node, this);
  }

  run(items: Source<T>, options: MapOptions | undefined): Promise<R[]> {
    const body = async (own: Scope): Promise<R[]> => {
      await this.#reader.readAll(openSource("map", items, own));
      return this.#results;
    };
    startChild(this.node, body, timeoutOption(options), this.site, "map");
    return this.promise;
  }

  hasRoom(): boolean {
    return this.#room > 0;
  }

  accept(item: T, index: number): void {
    this.#room -= 1;
    const worker = this.#worker;
    this.start(worker, (own) => worker(item, own, index), index);
  }

  succeeded(value: unknown, index: number): void {
    this.#results[index] = value as R;
    this.#room += 1;
    this.#reader.wake();
  }

  failed(error: unknown): void {
    fail(this.node, error);
  }
}

/** Checks the options of `map` and `stream`. */
export function checkMapOptions(operation: string, options: MapOptions, names: OptionNames): void {
  checkCombinatorOptions(operation, options, names, "{ concurrency: 10 }");
  checkLimit(operation, "concurrency", options.concurrency, 1);
}
