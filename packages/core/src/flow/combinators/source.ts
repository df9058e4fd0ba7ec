import type { CancelledError } from "../../errors/cancelled.js";
import { isObject } from "../../errors/suppressed.js";
import { wrongType } from "../../errors/validate.js";
import { Hook, addHook, removeHook } from "../../kernel/cancel-hooks.js";
import { isCancellation } from "../../kernel/cancel.js";
import { fail } from "../../kernel/lifecycle.js";
import type { ScopeNode } from "../../kernel/node.js";
import { report } from "../../kernel/outcome.js";
import type { Scope } from "../../kernel/scope.js";
import { CLOSED } from "../../kernel/state.js";

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

/** What a feed asks its group. */
export interface Sink<T> {
  /** Whether one more item may be started now. */
  hasRoom(): boolean;
  accept(item: T, index: number): void;
}

/**
 * Takes items from a source as long as there is room for them, one at a time: the body of the scopes of `map` and
 * `stream`. When that scope is cancelled, it stops at once, closes the source, and waits for it.
 */
export class Feed<T> extends Hook {
  readonly #node: ScopeNode;
  readonly #sink: Sink<T>;
  /** Continues a feed that waits for room. */
  #goOn: (() => void) | undefined;
  /** Continues a feed that waits for anything. */
  #stop: (() => void) | undefined;

  constructor(node: ScopeNode, sink: Sink<T>) {
    super();
    this.#node = node;
    this.#sink = sink;
  }

  /** There may be room again. */
  wake(): void {
    this.#goOn?.();
  }

  run(): void {
    this.#stop?.();
  }

  /** Runs until the source is exhausted. */
  async pull(cursor: Cursor<T>): Promise<void> {
    const node = this.#node;
    addHook(node, this);
    for (let index = 0; ; index++) {
      while (!this.#sink.hasRoom() && !node.cancelled) await this.#room();
      if (node.cancelled) return this.#close(cursor);
      let step = cursor.next();
      if (cursor.async) {
        const arrived = await this.#arrival(Promise.resolve(step));
        if (arrived === undefined) return this.#close(cursor);
        step = arrived;
      }
      const { done, value } = checkStep(step as IteratorResult<T>);
      if (done === true) break;
      if (node.cancelled) return this.#close(cursor); // by the source itself
      this.#sink.accept(value, index);
    }
    removeHook(node, this);
  }

  async #room(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#goOn = this.#stop = resolve;
    });
    this.#goOn = this.#stop = undefined;
  }

  /** The step, or `undefined` if the cancellation came first. */
  async #arrival(step: Promise<IteratorResult<T>>): Promise<IteratorResult<T> | undefined> {
    try {
      return await new Promise<IteratorResult<T> | undefined>((resolve, reject) => {
        this.#stop = () => {
          step.catch((error: unknown) => this.#failedLate(error));
          resolve(undefined);
        };
        step.then(resolve, reject);
        if (this.#node.cancelled) this.#stop(); // by the source itself, when it was asked
      });
    } finally {
      this.#stop = undefined;
    }
  }

  async #close(cursor: Cursor<T>): Promise<never> {
    await cursor.close();
    throw this.#node.reason as CancelledError;
  }

  /** A read that was under way when the scope was cancelled. */
  #failedLate(error: unknown): void {
    const node = this.#node;
    const failures: unknown[] = [];
    if (!isCancellation(node, error, failures)) failures.unshift(error);
    for (const failure of failures) {
      if ((node.flags & CLOSED) === 0) fail(node, failure);
      else report(node, failure, node);
    }
  }
}

/** As `for … of`: what is no object has no `done`, and would go on for ever. */
function checkStep<T>(step: IteratorResult<T>): IteratorResult<T> {
  if (isObject(step)) return step;
  throw wrongType("items", "next() must return an object", step);
}
