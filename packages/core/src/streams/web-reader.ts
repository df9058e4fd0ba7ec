import type { ScopeNode } from "../kernel/node.js";
import type { Scope } from "../kernel/scope.js";
import { throwFailure } from "../kernel/lifecycle.js";

/** Checks the shape, since streams of polyfills and other realms have other classes. */
export function isReadableStream(value: unknown): value is ReadableStream<unknown> {
  return typeof value === "object" && value !== null && "getReader" in value && "locked" in value;
}

/**
 * Reads a `ReadableStream`. It does not use the stream's async iterator, whose `return()` waits for a pending read,
 * perhaps for ever. A reader's `cancel()` ends the read.
 */
export class WebReader<T> implements AsyncIterableIterator<T, undefined> {
  readonly #reader: ReadableStreamDefaultReader<T>;
  readonly #scope: ScopeNode;
  #ended = false;
  /** Whether the stream has failed before its scope was cancelled. */
  #failed = false;

  constructor(stream: ReadableStream<T>, scope: Scope) {
    this.#reader = stream.getReader();
    this.#scope = scope as ScopeNode;
    this.#reader.closed.catch(() => (this.#failed ||= !this.#ended && !scope.cancelled));
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<T, undefined>> {
    try {
      const { done, value } = await this.#reader.read();
      if (!done) return { done, value };
    } catch (error) {
      this.#end();
      this.#rethrow(error);
    }
    this.#end();
    return { done: true, value: undefined };
  }

  /** May be called after the end. Then there is nothing to close. */
  async return(): Promise<IteratorResult<T, undefined>> {
    try {
      if (!this.#ended) await this.#reader.cancel(this.#scope.reason);
    } catch (error) {
      this.#rethrow(error);
    } finally {
      this.#end();
    }
    return { done: true, value: undefined };
  }

  #rethrow(error: unknown): never {
    if (this.#failed) throwFailure(this.#scope, error);
    throw error;
  }

  #end(): void {
    this.#ended = true;
    this.#reader.releaseLock();
  }
}
