import { draining } from "../../kernel/draining.js";
import type { ScopeNode } from "../../kernel/node.js";
import { FEWEST_LISTENERS } from "../constants.js";
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
  accept(value: T): void;
  closed(closing: Closing): void;
}

/** A pending send. */
export interface Sender<T> extends Queued {
  readonly value: T;
  /** See `draining.ts`. */
  readonly isRunningWork: boolean;
  sent(): void;
  closed(closing: Closing): void;
}

/**
 * The state of a channel.
 *
 * A value passes from its sender to its receiver, or into the buffer, in one synchronous step in which both leave their
 * queues. So it can't be lost or delivered twice. Receivers wait only while the buffer is empty and no sender waits;
 * senders wait only while the buffer is full.
 *
 * A receiver of a daemon whose scope drains is the exception: it waits although the buffer has values, until running
 * work has sent one of them (rule 32). Then it also gets the values in front of that one. A closed channel makes no
 * receiver wait.
 */
export class ChannelCore<T> {
  readonly capacity: number;
  readonly #buffer = new Fifo<T>();
  readonly #receivers = new WaitQueue<Receiver<T>>();
  readonly #senders = new WaitQueue<Sender<T>>();
  readonly #heldBack = new WaitQueue<Receiver<T>>();
  /** For each buffered value, whether running work has sent it; kept in a process that has a scope which may drain. */
  #origins: Fifo<boolean> | undefined;
  /** The number of values in the buffer that running work has sent. */
  #fromWork = 0;
  /** The references of facades of this channel. A closed channel no longer needs its senders. */
  #closeListeners: WeakRef<{ end(): void }>[] = [];
  /** At this length, the next listener removes the collected ones. */
  #fullAt = FEWEST_LISTENERS;
  closing: Closing | undefined;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  /** Removes and returns a value, if there is one for `receiver`. */
  poll(receiver?: ScopeNode): { value: T } | undefined {
    const { rules } = draining;
    if (rules !== undefined) {
      if (this.#holdsBack(receiver)) return undefined;
      const taken = this.#take();
      if (taken !== undefined) rules.recordReceivedValue(receiver);
      return taken;
    }
    return this.#take();
  }

  #take(): { value: T } | undefined {
    if (this.#buffer.size > 0) {
      const value = this.#buffer.shift() as T;
      if (this.#origins?.shift() === true) this.#fromWork -= 1;
      const sender = this.#senders.shift();
      if (sender !== undefined) {
        this.#push(sender.value, sender.isRunningWork);
        sender.sent();
      }
      return { value };
    }
    const sender = this.#senders.shift();
    if (sender === undefined) return undefined;
    sender.sent();
    return { value: sender.value };
  }

  #push(value: T, isWork: boolean): void {
    if (draining.rules !== undefined && this.#origins === undefined) {
      this.#origins = new Fifo();
      for (let index = this.#buffer.size; index > 0; index--) this.#origins.push(false);
    }
    this.#buffer.push(value);
    this.#origins?.push(isWork);
    if (isWork) this.#fromWork += 1;
  }

  /**
   * Passes a value to a receiver that waits, or to the buffer if it has room. The channel must not be closed.
   *
   * @param sender - The scope that sends.
   */
  offer(value: T, sender?: ScopeNode): boolean {
    const isWork = draining.rules?.isForRunningWork(sender) === true;
    const receiver = this.#nextReceiver(isWork);
    if (receiver !== undefined) {
      draining.rules?.recordReceivedValue(receiver.owner);
      receiver.accept(value);
    } else if (this.#buffer.size < this.capacity) {
      this.#push(value, isWork);
      this.#serveHeldBack();
    } else return false;
    return true;
  }

  #nextReceiver(isWork: boolean): Receiver<T> | undefined {
    let receiver = this.#receivers.shift();
    if (!draining.hasBegun || isWork) return receiver;
    for (; receiver !== undefined && isDenied(receiver.owner); receiver = this.#receivers.shift())
      this.#heldBack.push(receiver);
    return receiver;
  }

  #holdsBack(receiver: ScopeNode | undefined): boolean {
    return isDenied(receiver) && !this.#deliversToAll();
  }

  /** Whether a value is, or lies in front of, one for running work. */
  #deliversToAll(): boolean {
    if (this.closing !== undefined || this.#fromWork > 0) return true;
    for (const sender of this.#senders) if (sender.isRunningWork) return true;
    return false;
  }

  #serveHeldBack(): void {
    while (!this.#heldBack.empty && this.#deliversToAll()) {
      const taken = this.#take();
      if (taken === undefined) return;
      const receiver = this.#heldBack.shift() as Receiver<T>;
      draining.rules?.recordReceivedValue(receiver.owner);
      receiver.accept(taken.value);
    }
  }

  /** Adds a receiver to the queue. There must be no value for it, and the channel must not be closed. */
  addReceiver(receiver: Receiver<T>): void {
    const isEmpty = this.#buffer.size === 0 && this.#senders.empty;
    (isEmpty ? this.#receivers : this.#heldBack).push(receiver);
  }

  /** Adds a sender to the queue. The channel must be full and not closed. */
  addSender(sender: Sender<T>): void {
    this.#senders.push(sender);
    this.#serveHeldBack();
  }

  /** Calls `end()` of the object when the channel is closed, immediately if it is. Does not keep the object alive. */
  onClose(end: WeakRef<{ end(): void }>): void {
    if (this.closing !== undefined) return end.deref()?.end();
    if (this.#closeListeners.length >= this.#fullAt) {
      this.#closeListeners = this.#closeListeners.filter((each) => each.deref() !== undefined);
      this.#fullAt = Math.max(FEWEST_LISTENERS, 2 * this.#closeListeners.length);
    }
    this.#closeListeners.push(end);
  }

  close(cause: unknown): void {
    if (this.closing !== undefined) return;
    const closing = { cause };
    this.closing = closing;
    for (const end of this.#closeListeners.splice(0)) end.deref()?.end();
    const end = (waiting: Receiver<T> | Sender<T>): void => waiting.closed(closing);
    this.#receivers.drain(end);
    this.#senders.drain(end);
    this.#serveHeldBack();
    this.#heldBack.drain(end);
  }
}

function isDenied(receiver: ScopeNode | undefined): boolean {
  return draining.rules?.isReceiveDenied(receiver) === true;
}
