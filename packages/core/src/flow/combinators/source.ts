import type { CancelledError } from "../../errors/cancelled.js";
import { workKind } from "../../errors/scope-errors.js";
import { isObject, isObjectLike } from "../../errors/user-values.js";
import { wrongType } from "../../errors/validate.js";
import { Hook, addHook, removeHook } from "../../kernel/cancel-hooks.js";
import { isCancellation } from "../../kernel/is-cancellation.js";
import { fail } from "../../kernel/lifecycle.js";
import type { ScopeNode } from "../../kernel/node.js";
import { report } from "../../kernel/outcome.js";
import type { Scope } from "../../kernel/scope.js";
import { isClosed } from "../../kernel/state.js";

/**
 * The source of the items of `map` and `stream`: an iterable, or a function that returns one.
 *
 * The function is called when the work begins. Its scope is cancelled when the work ends early, so that a source that
 * waits can stop waiting.
 */
export type Source<T> = Iterable<T> | AsyncIterable<T> | ((scope: Scope) => Iterable<T> | AsyncIterable<T>);

/** The iterator of a source, sync or async. */
interface SourceIterator<T> {
  readonly async: boolean;
  next(): IteratorResult<T> | PromiseLike<IteratorResult<T>>;
  /** Calls `return()` of the source, if it has one, and waits for it. */
  close(): Promise<void>;
}

/** Refuses a source that is neither a function nor iterable, before anything is started. */
export function checkSource(operation: string, source: unknown): void {
  if (typeof source !== "function") iteratorMethod(operation, source);
}

export function openSource<T>(operation: string, source: Source<T>, scope: Scope): SourceIterator<T> {
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
  if (typeof items === "string" || isObjectLike(items)) {
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

/** The group that a {@link SourceReader} reads for. */
export interface ItemReceiver<T> {
  /** Whether one more item may be started now. */
  hasRoom(): boolean;
  accept(item: T, index: number): void;
}

/**
 * Reads items from a source, one at a time, while its group has room for them: the body of the scopes of `map` and
 * `stream`. When that scope is cancelled, it stops reading, closes the source, and waits until the source is closed.
 */
export class SourceReader<T> extends Hook {
  readonly #node: ScopeNode;
  readonly #receiver: ItemReceiver<T>;
  /** Resumes a reader that waits for room. */
  #resume: (() => void) | undefined;
  /** Resumes a reader that waits for room or for an item. */
  #stop: (() => void) | undefined;

  constructor(node: ScopeNode, receiver: ItemReceiver<T>) {
    super();
    node.ensureExtras().bodyKind = workKind("source", "its source has not ended");
    this.#node = node;
    this.#receiver = receiver;
  }

  /** Called when there may be room again. */
  wake(): void {
    this.#resume?.();
  }

  run(): void {
    this.#stop?.();
  }

  /** Reads until the source is exhausted. */
  async readAll(iterator: SourceIterator<T>): Promise<void> {
    const node = this.#node;
    addHook(node, this);
    for (let index = 0; ; index++) {
      while (!this.#receiver.hasRoom() && !node.cancelled) await this.#roomFreed();
      if (node.cancelled) return this.#close(iterator);
      let step = iterator.next();
      if (iterator.async) {
        const received = await this.#nextStep(Promise.resolve(step));
        if (received === undefined) return this.#close(iterator);
        step = received;
      }
      const { done, value } = checkStep(step as IteratorResult<T>);
      if (done === true) break;
      if (node.cancelled) return this.#close(iterator); // the source has cancelled it
      this.#receiver.accept(value, index);
    }
    removeHook(node, this);
  }

  async #roomFreed(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#resume = this.#stop = resolve;
    });
    this.#resume = this.#stop = undefined;
  }

  /** The result of `next()`, or `undefined` if the cancellation came first. */
  async #nextStep(step: Promise<IteratorResult<T>>): Promise<IteratorResult<T> | undefined> {
    try {
      return await new Promise<IteratorResult<T> | undefined>((resolve, reject) => {
        this.#stop = () => {
          step.catch((error: unknown) => this.#failedLate(error));
          resolve(undefined);
        };
        step.then(resolve, reject);
        if (this.#node.cancelled) this.#stop(); // the source has cancelled it in `next()`
      });
    } finally {
      this.#stop = undefined;
    }
  }

  async #close(iterator: SourceIterator<T>): Promise<never> {
    await iterator.close();
    throw this.#node.reason as CancelledError;
  }

  /** Receives the failure of a read that was pending when the scope was cancelled. */
  #failedLate(error: unknown): void {
    const node = this.#node;
    const failures: unknown[] = [];
    if (!isCancellation(node, error, failures)) failures.unshift(error);
    for (const failure of failures) {
      if (!isClosed(node)) fail(node, failure);
      else report(node, failure, node);
    }
  }
}

/** Throws as `for … of` does. A primitive has no `done`, so the loop would not end. */
function checkStep<T>(step: IteratorResult<T>): IteratorResult<T> {
  if (isObject(step)) return step;
  throw wrongType("items", "next() must return an object", step);
}
