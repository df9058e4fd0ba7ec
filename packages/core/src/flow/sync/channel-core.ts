import { ChannelClosedError } from "./channel-error.js";
import { Fifo } from "./fifo.js";
import { WaitQueue, type Queued } from "./wait-queue.js";

/** How a channel was closed. */
export interface Closing {
  readonly cause: unknown;
}

/** Waits for a value. */
export interface Receiver<T> extends Queued {
  accept(value: T): void;
  closed(closing: Closing): void;
}

/** Waits for somebody to take its value. */
export interface Sender<T> extends Queued {
  readonly value: T;
  sent(): void;
  closed(closing: Closing): void;
}

/**
 * The state of a channel. A value passes from its sender to its receiver, or into the buffer, in one synchronous
 * step in which both leave their queues: there is no moment at which it could be lost or be taken twice.
 *
 * Receivers wait only while the buffer is empty and no sender waits; senders only while the buffer is full.
 */
export class ChannelCore<T> {
  readonly capacity: number;
  readonly #buffer = new Fifo<T>();
  readonly #receivers = new WaitQueue<Receiver<T>>();
  readonly #senders = new WaitQueue<Sender<T>>();
  /** Facades of this channel, which need nobody who sends once it is closed. */
  #ends: WeakRef<{ end(): void }>[] = [];
  closing: Closing | undefined = undefined;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  /** Takes a value if there is one. */
  poll(): { value: T } | undefined {
    if (this.#buffer.size > 0) {
      const value = this.#buffer.shift() as T;
      const sender = this.#senders.shift();
      if (sender !== undefined) {
        this.#buffer.push(sender.value);
        sender.sent();
      }
      return { value };
    }
    const sender = this.#senders.shift();
    if (sender === undefined) return undefined;
    sender.sent();
    return { value: sender.value };
  }

  /** Gives a value away if somebody waits for it or there is room. The channel must not be closed. */
  offer(value: T): boolean {
    const receiver = this.#receivers.shift();
    if (receiver !== undefined) receiver.accept(value);
    else if (this.#buffer.size < this.capacity) this.#buffer.push(value);
    else return false;
    return true;
  }

  /** Lets a receiver wait. The channel must be empty, and not closed. */
  awaitValue(receiver: Receiver<T>): void {
    this.#receivers.push(receiver);
  }

  /** Lets a sender wait. The channel must be full, and not closed. */
  awaitRoom(sender: Sender<T>): void {
    this.#senders.push(sender);
  }

  /** Ends what `end` refers to, if it is still there, when the channel closes; at once if it has. */
  onClose(end: WeakRef<{ end(): void }>): void {
    if (this.closing !== undefined) end.deref()?.end();
    else this.#ends.push(end);
  }

  close(cause: unknown): void {
    if (this.closing !== undefined) return;
    const closing = { cause };
    this.closing = closing;
    for (const end of this.#ends.splice(0)) end.deref()?.end();
    for (let at = this.#receivers.shift(); at !== undefined; at = this.#receivers.shift()) at.closed(closing);
    for (let at = this.#senders.shift(); at !== undefined; at = this.#senders.shift()) at.closed(closing);
  }
}

export function closedError(operation: string, { cause }: Closing): ChannelClosedError {
  return new ChannelClosedError(operation, cause === undefined ? undefined : { cause });
}
