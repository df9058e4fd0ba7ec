import { BoughError } from "../errors/bough-error.js";
import { closesAfterEnd, hasMethods, emitsClose } from "./node-reader.js";
import type { Sink } from "./sink.js";

type Listener = (...values: unknown[]) => void;

/** The part of a Node stream that `pipe` uses: a `Writable` is one. */
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

/** Why the stream will not finish. */
interface Cause {
  readonly error: unknown;
}

/** Writes to a Node `Writable`. */
export class NodeSink implements Sink {
  readonly failed: Promise<never>;
  readonly #stream: NodeWritable;
  readonly #listeners: ReadonlyMap<string, Listener>;
  #failure: Cause | undefined;
  #aborted: Cause | undefined;
  /** Set by the event, since `process.stdout` resets its property. */
  #finished: boolean;
  #closed: boolean;
  /** Resolves at the next event. Several callers may wait: a write, and the abort that overtakes it. */
  #event: Promise<void> | undefined;
  #announce: () => void = () => undefined;

  constructor(stream: NodeWritable) {
    this.#stream = stream;
    this.#finished = stream.writableFinished;
    this.#closed = stream.closed === true;
    let reject!: (error: unknown) => void;
    this.failed = new Promise((_, rejectIt) => (reject = rejectIt));
    const wake = (): void => this.#wake();
    const finish = (): void => {
      this.#finished = true;
      wake();
    };
    const fail = (error: unknown): void => {
      this.#failure ??= { error };
      reject(error);
      wake();
    };
    const close = (): void => {
      this.#closed = true;
      wake();
      if (!this.#finished && this.#aborted === undefined) fail(closedEarly());
    };
    this.#listeners = new Map(Object.entries({ drain: wake, finish, close, error: fail }));
    for (const [event, listener] of this.#listeners) stream.on(event, listener);
    if (stream.errored != null) fail(stream.errored);
    else if (stream.destroyed) close();
  }

  async write(chunk: unknown): Promise<void> {
    if (!this.#stream.write(chunk) && !this.#hasFailed()) await this.#next();
  }

  async end(): Promise<void> {
    const stream = this.#stream;
    stream.end();
    while (!this.#finished && !this.#hasFailed()) await this.#next();
    if (!this.#finished) throw (this.#aborted ?? this.#failure)?.error ?? closedEarly();
    while (closesAfterEnd(stream) && !this.#closed) await this.#next();
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async abort(reason: unknown): Promise<void> {
    this.#aborted = { error: reason };
    this.#stream.destroy();
    this.#wake();
    while (!this.#closed && emitsClose(this.#stream)) await this.#next();
    if (this.#failure !== undefined && this.#failure.error !== reason) throw this.#failure.error;
  }

  /** Whether the stream will not finish. A stream is destroyed before it emits the error. */
  #hasFailed(): boolean {
    if (this.#failure !== undefined || this.#aborted !== undefined) return true;
    return this.#stream.destroyed && this.#stream.errored == null && !emitsClose(this.#stream);
  }

  release(): void {
    for (const [event, listener] of this.#listeners) this.#stream.off(event, listener);
  }

  #next(): Promise<void> {
    return (this.#event ??= new Promise((resolve) => (this.#announce = resolve)));
  }

  #wake(): void {
    this.#event = undefined;
    this.#announce();
  }
}

function closedEarly(): BoughError {
  return new BoughError("BOUGH_PREMATURE_CLOSE", "pipe: the stream was closed before its end");
}
