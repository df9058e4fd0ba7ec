import type { ScopeNode } from "../../kernel/node.js";
import { MIN_LISTENERS } from "../constants.js";
import { Fifo } from "./fifo.js";
import { type Queued, WaitQueue } from "./wait-queue.js";

/** The record of how a channel was closed. */
export interface Closing {
  readonly cause: unknown;
}

/** A pending receive. */
export interface Receiver<T> extends Queued {
  /** The scope that waits. */
  readonly owner: ScopeNode | undefined;
  /** The `select` that it is a case of. */
  readonly selection?: object;
  accept(value: T): void;
  closed(closing: Closing): void;
}

/** A pending send. */
export interface Sender<T> extends Queued {
  readonly value: T;
  /** The scope that waits. */
  readonly owner: ScopeNode | undefined;
  /** Whether it sends for running work. Set by the guard. */
  isRunningWork?: boolean;
  /** The `select` that it is a case of. */
  readonly selection?: object;
  sent(): void;
  closed(closing: Closing): void;
}

/** What a channel does for the daemons of scopes that drain; see `channel-guard.ts`. */
export interface ChannelGuard<T> {
  /** Whether `sender` sends for running work. */
  isWork(sender: ScopeNode | undefined): boolean;
  /** Whether there is no value for `receiver` now. */
  holdsBack(receiver: ScopeNode | undefined): boolean;
  /** `receiver` has received a value. */
  received(receiver: ScopeNode | undefined): void;
  /** A value was added to the buffer. */
  pushed(isWork: boolean): void;
  /** The first value was removed from the buffer. */
  shifted(): void;
  /** Removes and returns the receiver of a value. */
  nextReceiver(isWork: boolean): Receiver<T> | undefined;
  addReceiver(receiver: Receiver<T>): void;
  senderAdded(sender: Sender<T>): void;
  /** Called when there may be a value for a receiver that was held back. */
  serveHeldBack(): void;
  close(closing: Closing): void;
}

/** Has a function once this process has a scope that may drain. */
export const channelGuards: { create: (<T>(core: ChannelCore<T>) => ChannelGuard<T>) | undefined } = {
  create: undefined,
};

/**
 * The state of a channel.
 *
 * A value passes from its sender to its receiver, or into the buffer, in one synchronous step in which both leave their
 * queues. So it can't be lost or delivered twice. Receivers wait only while the buffer is empty and no sender waits;
 * senders wait only while the buffer is full. A guard makes an exception of the receivers of daemons.
 */
export class ChannelCore<T> {
  readonly capacity: number;
  readonly buffer: Fifo<T> = new Fifo();
  readonly receivers: WaitQueue<Receiver<T>> = new WaitQueue();
  readonly senders: WaitQueue<Sender<T>> = new WaitQueue();
  #guard: ChannelGuard<T> | undefined;
  /** The references of facades of this channel. A closed channel no longer needs its senders. */
  #closeListeners: WeakRef<{ end(): void }>[] = [];
  /** At this length, the next listener removes the collected ones. */
  #fullAt: number = MIN_LISTENERS;
  closing: Closing | undefined = undefined;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  /** Removes and returns a value, if there is one for `receiver`. */
  poll(receiver?: ScopeNode): { value: T } | undefined {
    const guard = this.#findGuard();
    if (guard === undefined) return this.take();
    if (guard.holdsBack(receiver)) return undefined;
    const taken = this.take();
    if (taken !== undefined) guard.received(receiver);
    return taken;
  }

  #findGuard(): ChannelGuard<T> | undefined {
    return channelGuards.create === undefined ? undefined : (this.#guard ??= channelGuards.create(this));
  }

  /** Removes and returns the first value. */
  take(): { value: T } | undefined {
    if (this.buffer.size > 0) {
      const value = this.buffer.shift() as T;
      this.#guard?.shifted();
      this.refill();
      return { value };
    }
    const sender = this.senders.shift();
    if (sender === undefined) return undefined;
    sender.sent();
    return { value: sender.value };
  }

  /** Moves the value of the first sender into the buffer, which has room. */
  refill(): void {
    const sender = this.senders.shift();
    if (sender === undefined) return;
    this.#push(sender.value, sender.isRunningWork === true);
    sender.sent();
  }

  #push(value: T, isWork: boolean): void {
    this.buffer.push(value);
    this.#guard?.pushed(isWork);
  }

  /**
   * Passes a value to a receiver that waits, or to the buffer if it has room. The channel must not be closed.
   *
   * @param sender - The scope that sends.
   */
  offer(value: T, sender?: ScopeNode): boolean {
    const guard = this.#findGuard();
    const isWork = guard !== undefined && guard.isWork(sender);
    const receiver = guard === undefined ? this.receivers.shift() : guard.nextReceiver(isWork);
    if (receiver !== undefined) {
      guard?.received(receiver.owner);
      receiver.accept(value);
    } else if (this.buffer.size < this.capacity) {
      this.#push(value, isWork);
      guard?.serveHeldBack();
    } else return false;
    return true;
  }

  /** Adds a receiver to the queue. There must be no value for it, and the channel must not be closed. */
  addReceiver(receiver: Receiver<T>): void {
    if (this.#guard === undefined) this.receivers.push(receiver);
    else this.#guard.addReceiver(receiver);
  }

  /** Adds a sender to the queue. The channel must be full and not closed. */
  addSender(sender: Sender<T>): void {
    this.senders.push(sender);
    this.#guard?.senderAdded(sender);
  }

  /** Calls `end()` of the object when the channel is closed, immediately if it is. Does not keep the object alive. */
  onClose(end: WeakRef<{ end(): void }>): void {
    if (this.closing !== undefined) return end.deref()?.end();
    if (this.#closeListeners.length >= this.#fullAt) {
      this.#closeListeners = this.#closeListeners.filter((each) => each.deref() !== undefined);
      this.#fullAt = Math.max(MIN_LISTENERS, 2 * this.#closeListeners.length);
    }
    this.#closeListeners.push(end);
  }

  close(cause: unknown): void {
    if (this.closing !== undefined) return;
    const closing = { cause };
    this.closing = closing;
    for (const end of this.#closeListeners.splice(0)) end.deref()?.end();
    const end = (waiting: Receiver<T> | Sender<T>): void => waiting.closed(closing);
    this.receivers.drain(end);
    this.senders.drain(end);
    this.#guard?.close(closing);
  }
}
