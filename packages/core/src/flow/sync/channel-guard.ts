import { isForRunningWork, isReceiveDenied, recordReceivedValue } from "../../kernel/draining-rules.js";
import type { ScopeNode } from "../../kernel/node.js";
import {
  channelGuards,
  type ChannelCore,
  type ChannelGuard,
  type Closing,
  type Receiver,
  type Sender,
} from "./channel-core.js";
import { Fifo } from "./fifo.js";
import { WaitQueue } from "./wait-queue.js";

/** Lets channels tell running work from new work: called once this process has a scope that may drain. */
export function guardChannels(): void {
  channelGuards.create = createGuard;
}

function createGuard<T>(core: ChannelCore<T>): ChannelGuard<T> {
  return new DrainingGuard(core);
}

/**
 * A receiver of a daemon whose scope drains waits although the channel has values, until running work has sent one of
 * them (rule 32). Then it also gets the values in front of that one. A closed channel makes no receiver wait.
 */
class DrainingGuard<T> implements ChannelGuard<T> {
  readonly #core: ChannelCore<T>;
  readonly #heldBack = new WaitQueue<Receiver<T>>();
  /** For each value in the buffer, whether running work has sent it. */
  readonly #origins = new Fifo<boolean>();
  /** The number of values in the buffer that running work has sent. */
  #fromWork = 0;

  constructor(core: ChannelCore<T>) {
    this.#core = core;
    for (let index = core.buffer.size; index > 0; index--) this.#origins.push(false);
  }

  isWork(sender: ScopeNode | undefined): boolean {
    return isForRunningWork(sender);
  }

  holdsBack(receiver: ScopeNode | undefined): boolean {
    return isReceiveDenied(receiver) && !this.#deliversToAll();
  }

  received(receiver: ScopeNode | undefined): void {
    recordReceivedValue(receiver);
  }

  pushed(isWork: boolean): void {
    this.#origins.push(isWork);
    if (isWork) this.#fromWork += 1;
  }

  shifted(): void {
    if (this.#origins.shift() === true) this.#fromWork -= 1;
  }

  nextReceiver(isWork: boolean): Receiver<T> | undefined {
    const { receivers } = this.#core;
    let receiver = receivers.shift();
    for (; receiver !== undefined && !isWork && isReceiveDenied(receiver.owner); receiver = receivers.shift())
      this.#heldBack.push(receiver);
    return receiver;
  }

  addReceiver(receiver: Receiver<T>): void {
    const { buffer, receivers, senders } = this.#core;
    // A sender may be another case of its own `select`.
    const isHeldBack = (buffer.size > 0 || !senders.empty) && isReceiveDenied(receiver.owner);
    (isHeldBack ? this.#heldBack : receivers).push(receiver);
  }

  senderAdded(sender: Sender<T>): void {
    sender.isRunningWork = isForRunningWork(sender.owner);
    this.serveHeldBack();
  }

  serveHeldBack(): void {
    const { buffer } = this.#core;
    while (!this.#heldBack.empty && this.#deliversToAll()) {
      const [receiver] = this.#heldBack as Iterable<Receiver<T>> as [Receiver<T>];
      const sender = buffer.size > 0 ? undefined : this.#senderFor(receiver);
      if (buffer.size === 0 && sender === undefined) return;
      this.#heldBack.remove(receiver);
      recordReceivedValue(receiver.owner);
      // The receiver first: if it is a case of a `select` that also sends, its sender leaves.
      if (sender === undefined) {
        const value = buffer.shift() as T;
        this.shifted();
        receiver.accept(value);
        this.#core.refill();
      } else {
        this.#core.senders.remove(sender);
        receiver.accept(sender.value);
        sender.sent();
      }
    }
  }

  /** The first sender that is not a case of the `select` that receives. */
  #senderFor({ selection }: Receiver<T>): Sender<T> | undefined {
    for (const sender of this.#core.senders)
      if (selection === undefined || sender.selection !== selection) return sender;
    return undefined;
  }

  close(closing: Closing): void {
    this.serveHeldBack();
    this.#heldBack.drain((receiver) => receiver.closed(closing));
  }

  /** Whether a value is, or lies in front of, one for running work. */
  #deliversToAll(): boolean {
    const { closing, senders } = this.#core;
    if (closing !== undefined || this.#fromWork > 0) return true;
    for (const sender of senders) if (sender.isRunningWork === true) return true;
    return false;
  }
}
