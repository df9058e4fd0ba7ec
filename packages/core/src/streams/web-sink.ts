import type { Sink } from "./sink.js";

export function isWritableStream(value: unknown): value is WritableStream<unknown> {
  return typeof value === "object" && value !== null && "getWriter" in value && "locked" in value;
}

/** Writes to a `WritableStream`, as far ahead of it as its queue allows. */
export class WebSink implements Sink {
  readonly failed: Promise<unknown>;
  readonly #writer: WritableStreamDefaultWriter<unknown>;

  constructor(stream: WritableStream<unknown>) {
    this.#writer = stream.getWriter();
    this.failed = this.#writer.closed;
  }

  async write(chunk: unknown): Promise<void> {
    await this.#writer.ready;
    this.#writer.write(chunk).catch(() => undefined); // the stream has failed then, and `failed` reports it
  }

  end(): Promise<void> {
    return this.#writer.close();
  }

  abort(reason: unknown): Promise<void> {
    return this.#writer.abort(reason);
  }

  release(): void {
    this.#writer.releaseLock();
  }
}
