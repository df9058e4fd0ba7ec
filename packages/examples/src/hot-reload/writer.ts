import { createChannel, selfCleaning, spawn, type Channel, type Scope, type SelfCleaning } from "bough";

/** Does something with a message. */
export type Sink = (message: string, scope: Scope) => Promise<void>;

const CAPACITY = 10;

/** Queues messages for a worker that handles one after the other: the original's `Writer`. */
export class Writer {
  readonly #queue: Channel<string> = createChannel<string>(CAPACITY);
  readonly #sink: Sink;
  readonly #drained: Promise<void>;
  #finish = (): void => {};

  constructor(sink: Sink) {
    this.#sink = sink;
    this.#drained = new Promise((resolve) => (this.#finish = resolve));
  }

  /**
   * Resolves when the queue has the message; that waits while it is full.
   *
   * @throws {ChannelClosedError} If `end` was called, meanwhile or before (as a rejection): the message was not taken.
   */
  write(scope: Scope, message: string): Promise<void> {
    return this.#queue.send(scope, message);
  }

  /** Closes the queue, and resolves when all that was in it has been handled. */
  end(): Promise<void> {
    this.#queue.close();
    return this.#drained;
  }

  /** Handles messages until the queue is closed and drained. */
  async process(scope: Scope): Promise<void> {
    scope.defer(() => {
      this.#queue.close(); // whoever still waits for room
      this.#finish();
    });
    for await (const message of this.#queue.values(scope)) await this.#sink(message, scope);
  }
}

/** The writer with which the original begins: its worker lives until `owner` ends, whether anybody holds it or not. */
export function createLeakyWriter(owner: Scope, sink: Sink): Writer {
  const writer = new Writer(sink);
  spawn(owner, (scope) => writer.process(scope), { name: "process" });
  return writer;
}

/**
 * A writer whose worker stops when `end` has drained the queue, or when the writer was dropped. In the second case, as after
 * `close(writer)`, queued messages are lost. Call `end` to have them written.
 */
export function createWriter(sink: Sink): SelfCleaning<Writer> {
  return selfCleaning((scope) => createLeakyWriter(scope, sink), {
    name: "writer",
    onOrphan: "ignore",
    holdsProcess: false,
  });
}
