import { BoughError } from "../errors/bough-error.js";
import type { ScopeNode } from "../kernel/node.js";
import type { Scope } from "../kernel/scope.js";
import { throwFailure } from "../kernel/lifecycle.js";

type Listener = (...values: unknown[]) => void;

/** The part of a Node stream that `iterate` uses: a `Readable` is one. */
export interface NodeReadable {
  read(): unknown;
  destroy(): unknown;
  on(event: string, listener: Listener): unknown;
  off(event: string, listener: Listener): unknown;
  readonly destroyed: boolean;
  readonly readableEnded: boolean;
  readonly errored?: Error | null;
  readonly closed?: boolean;
}

export function isNodeReadable(value: unknown): value is NodeReadable {
  return hasMethods(value, "read", "on", "off", "destroy");
}

export function hasMethods(value: unknown, ...names: readonly string[]): boolean {
  if (typeof value !== "object" || value === null) return false;
  return names.every((name) => typeof Reflect.get(value, name) === "function");
}

interface Internals {
  readonly _readableState?: { readonly emitClose?: boolean; readonly autoDestroy?: boolean };
  readonly _writableState?: { readonly emitClose?: boolean; readonly autoDestroy?: boolean };
}

/** Whether the stream emits `close`. Old streams don't, and new ones have an option against it. */
export function emitsClose(stream: { readonly closed?: boolean }): boolean {
  const { _readableState: reading, _writableState: writing } = stream as Internals;
  return stream.closed !== undefined && (reading ?? writing)?.emitClose !== false;
}

/**
 * Whether the stream closes by itself after its end. Closing can fail: some file systems report a full disk on
 * `close(2)`. A `Duplex` closes only when its other side has ended, too.
 */
export function closesAfterEnd(stream: { readonly closed?: boolean }): boolean {
  const { _readableState: reading, _writableState: writing } = stream as Internals;
  if (reading !== undefined && writing !== undefined) return false;
  return emitsClose(stream) && (reading ?? writing)?.autoDestroy === true;
}

/**
 * Reads a Node `Readable`. It does not use the stream's async iterator. That one leaves listeners on a stream that it
 * destroys, and ends before the stream is closed. Its `return()` waits for a pending read.
 */
export class NodeReader<T> implements AsyncIterableIterator<T, undefined> {
  readonly #stream: NodeReadable;
  readonly #listeners: ReadonlyMap<string, Listener>;
  readonly #node: ScopeNode;
  /** The error of the stream, and whether it failed before its scope was cancelled. */
  #error: { readonly error: unknown; readonly isFailure: boolean } | undefined;
  #returned = false;
  #released = false;
  /** Set by the event: `stream.closed` is true before the event and before the last error. */
  #closed: boolean;
  #wake: (() => void) | undefined;

  constructor(stream: NodeReadable, scope: Scope) {
    this.#stream = stream;
    const node = scope as ScopeNode;
    this.#node = node;
    if (stream.errored != null) this.#error = { error: stream.errored, isFailure: !node.cancelled };
    this.#closed = stream.closed === true;
    const wake = (): void => this.#wake?.();
    const close = (): void => {
      this.#closed = true;
      wake();
    };
    const fail = (error: unknown): void => {
      this.#error ??= { error, isFailure: !node.cancelled };
      wake();
    };
    this.#listeners = new Map(Object.entries({ readable: wake, end: wake, close, error: fail }));
    for (const [event, listener] of this.#listeners) stream.on(event, listener);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<T, undefined>> {
    const stream = this.#stream;
    for (; !this.#returned; await this.#event()) {
      const chunk = stream.destroyed ? null : stream.read();
      if (chunk !== null) return { done: false, value: chunk as T };
      if (this.#error !== undefined) {
        this.#release();
        this.#rethrow(this.#error);
      }
      if (stream.readableEnded && (this.#closed || !closesAfterEnd(stream))) break;
      if (stream.destroyed && (this.#closed || !emitsClose(stream))) {
        this.#release();
        throw new BoughError("BOUGH_PREMATURE_CLOSE", "iterate: the stream was closed before its end");
      }
    }
    if (!this.#returned) this.#release();
    return { done: true, value: undefined };
  }

  /** Destroys the stream, and waits until it is closed. Does nothing after its end. */
  async return(): Promise<IteratorResult<T, undefined>> {
    if (this.#released) return { done: true, value: undefined };
    this.#returned = true;
    this.#wake?.();
    const stream = this.#stream;
    stream.destroy();
    while (!this.#closed && emitsClose(stream)) await this.#event();
    this.#release();
    if (this.#error !== undefined) this.#rethrow(this.#error);
    return { done: true, value: undefined };
  }

  #rethrow({ error, isFailure }: { error: unknown; isFailure: boolean }): never {
    if (isFailure) throwFailure(this.#node, error);
    throw error;
  }

  #event(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve));
  }

  #release(): void {
    this.#released = true;
    for (const [event, listener] of this.#listeners) this.#stream.off(event, listener);
  }
}
