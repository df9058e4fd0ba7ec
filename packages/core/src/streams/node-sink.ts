import { BoughError } from "../errors/bough-error.js";
import { hasMethods, saysClose } from "./node-cursor.js";
import type { Sink } from "./sink.js";

type Listener = (...values: unknown[]) => void;

/** What `pipe` needs of a Node stream: a `Writable` is one. */
export interface NodeWritable {
  write(chunk: unknown): boolean;
  end(): unknown;
  destroy(): unknown;
  on(event: string, listener: Listener): unknown;
  off(event: string, listener: Listener): unknown;
  readonly destroyed: boolean;
  readonly writableFinished: boolean;
  readonly errored?: Error | null;
  readonly closed?: boolean;
}

export function isNodeWritable(value: unknown): value is NodeWritable {
  return hasMethods(value, "write", "end", "on", "off", "destroy");
}

/** Writes to a Node `Writable`. */
export class NodeSink implements Sink {
  readonly failed: Promise<never>;
  readonly #stream: NodeWritable;
  readonly #listeners: ReadonlyMap<string, Listener>;
  #wake: (() => void) | undefined;
  #closed: boolean;
  #finished: boolean;
  #error: { readonly error: unknown } | undefined;

  constructor(stream: NodeWritable) {
    this.#stream = stream;
    this.#closed = stream.closed === true;
    this.#finished = stream.writableFinished;
    let reject!: (error: unknown) => void;
    this.failed = new Promise((_, rejectIt) => (reject = rejectIt));
    const wake = (): void => this.#wake?.();
    const fail = (error: unknown): void => {
      this.#error ??= { error };
      reject(error);
      wake();
    };
    const finish = (): void => {
      this.#finished = true;
      wake();
    };
    const close = (): void => {
      this.#closed = true;
      wake();
      if (this.#finished || stream.writableFinished) return;
      fail(new BoughError("BOUGH_PREMATURE_CLOSE", "pipe: the stream was closed before its end"));
    };
    this.#listeners = new Map(Object.entries({ drain: wake, finish, close, error: fail }));
    for (const [event, listener] of this.#listeners) stream.on(event, listener);
    if (stream.errored != null) fail(stream.errored);
    else if (stream.destroyed) close();
  }

  async write(chunk: unknown): Promise<void> {
    if (!this.#stream.write(chunk)) await this.#event();
  }

  async end(): Promise<void> {
    this.#stream.end();
    while (!this.#hasEnded()) await this.#event();
    if (this.#error !== undefined) throw this.#error.error;
  }

  /** A stream is destroyed before it says why, and one that closes itself may fail in that, when all is written. */
  #hasEnded(): boolean {
    const stream = this.#stream;
    if (this.#error !== undefined || this.#closed) return true;
    if (stream.destroyed) return !saysClose(stream) && stream.errored == null;
    return (this.#finished || stream.writableFinished) && !closesItself(stream);
  }

  async abort(): Promise<void> {
    this.#stream.destroy();
    this.#wake?.();
    while (!this.#closed && saysClose(this.#stream)) await this.#event();
  }

  release(): void {
    for (const [event, listener] of this.#listeners) this.#stream.off(event, listener);
  }

  #event(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve));
  }
}

/** Whether it closes as soon as it has finished. A duplex waits for its readable side. */
function closesItself(stream: NodeWritable): boolean {
  const { _readableState: reading, _writableState: writing } = stream as {
    _readableState?: unknown;
    _writableState?: { autoDestroy?: boolean };
  };
  return reading === undefined && writing?.autoDestroy === true && saysClose(stream);
}
