import { wrongType } from "../../errors/validate.js";
import type { Scope } from "../../kernel/scope.js";

/**
 * Where `map` and `stream` take their items from. A function of the scope is called when the work begins; its
 * scope is cancelled when the work ends early, so that a source that waits can stop waiting.
 */
export type Source<T> = Items<T> | ((scope: Scope) => Items<T>);

type Items<T> = Iterable<T> | AsyncIterable<T>;

/** An opened source, sync or async alike. */
export interface Cursor<T> {
  readonly async: boolean;
  next(): IteratorResult<T> | PromiseLike<IteratorResult<T>>;
  /** Asks the source to end, and waits until it has; a source without `return` has nothing to do. */
  close(): Promise<void>;
}

/** Says what is wrong with a source that is no function before anything is started. */
export function checkSource(operation: string, source: unknown): void {
  if (typeof source !== "function") iteratorMethod(operation, source);
}

export function openSource<T>(operation: string, source: Source<T>, scope: Scope): Cursor<T> {
  const items = typeof source === "function" ? source(scope) : source;
  const { method, async } = iteratorMethod(operation, items);
  const iterator = Reflect.apply(method, items, []) as Iterator<T> | AsyncIterator<T>;
  return {
    async,
    next: () => iterator.next(),
    close: async () => {
      await iterator.return?.();
    },
  };
}

interface IteratorMethod {
  readonly method: () => unknown;
  readonly async: boolean;
}

function iteratorMethod(operation: string, items: unknown): IteratorMethod {
  if (typeof items === "string" || (typeof items === "object" && items !== null)) {
    const iterable = Object(items) as Partial<AsyncIterable<unknown> & Iterable<unknown>>;
    const method = iterable[Symbol.asyncIterator];
    if (typeof method === "function") return { method, async: true };
    const sync = iterable[Symbol.iterator];
    if (typeof sync === "function") return { method: sync, async: false };
  }
  throw wrongType(
    operation,
    "items must be iterable, async iterable, or a function of the scope that returns such",
    items,
  );
}
