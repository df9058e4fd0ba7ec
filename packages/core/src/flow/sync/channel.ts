import { checkLimit } from "../../errors/validate.js";
import { refuse } from "../../kernel/refusal.js";
import type { Scope } from "../../kernel/scope.js";
import { subjectOf } from "../../kernel/stand-in.js";
import { inScope } from "../../task/in-scope.js";
import { nodeOf } from "../../task/resolve.js";
import { ChannelCore, closedError } from "./channel-core.js";
import { ChannelIterator, PendingReceive, PendingSend } from "./channel-waiters.js";

/**
 * A queue between tasks, with back-pressure. Made by {@link createChannel}.
 *
 * Each value goes to one receiver. Senders and receivers are served in the order they came. A `send` or `receive`
 * that was cancelled has sent or received nothing.
 *
 * As an async iterable it gives values until it is closed; nothing else ends that iteration. Use {@link values} for
 * one that ends with a scope.
 */
export interface Channel<T> extends AsyncIterable<T> {
  /** How many values it holds that nobody has taken yet. */
  readonly capacity: number;

  /**
   * Resolves when a receiver has taken `value` or the buffer has.
   *
   * @throws {CancelledError} The reason of `scope` (as a rejection); `value` was not sent.
   * @throws {ScopeClosedError} If `scope` has ended, or ends while this waits (as a rejection).
   * @throws {ChannelClosedError} If the channel is closed, now or while this waits (as a rejection).
   */
  send(scope: Scope, value: T): Promise<void>;

  /**
   * Resolves with the next value.
   *
   * @throws {CancelledError} The reason of `scope` (as a rejection); no value was taken.
   * @throws {ScopeClosedError} If `scope` has ended, or ends while this waits (as a rejection).
   * @throws {ChannelClosedError} If the channel is closed and drained, now or while this waits (as a rejection).
   */
  receive(scope: Scope): Promise<T>;

  /** Takes a value if one is there, be it from a sender that waits. */
  tryReceive(): { value: T } | undefined;

  /**
   * Ends the channel: what is buffered can still be received, senders that wait are refused. Only the first call
   * counts.
   *
   * @param cause - What iterations throw at the end, and the `cause` of every `ChannelClosedError`.
   */
  close(cause?: unknown): void;

  /**
   * Iterates until the channel ends or `scope` is cancelled; then `next()` rejects with the reason. Leaving the loop
   * leaves the channel open.
   */
  values(scope: Scope): AsyncIterableIterator<T>;
}

/**
 * Makes a channel.
 *
 * **Cancellation:** `send`, `receive` and `values` take the scope that waits, and reject with its reason when it is
 * cancelled. The message is then neither lost nor delivered twice: it was not sent, or stays for somebody else.
 *
 * **Failure:** `close(cause)` hands a failure on to the other end. A channel belongs to no scope: close it where the
 * last sender ends (`scope.defer(() => channel.close())`), or its receivers wait until they are cancelled.
 *
 * @param capacity - How many values may wait for a receiver; a whole number from 0, or `Infinity`. Default 0: a
 *   `send` waits for its receiver.
 * @throws {TypeError | RangeError} If `capacity` is no such number.
 * @example
 * ```ts
 * await withScope(async (scope) => {
 *   const numbers = createChannel<number>(10);
 *   spawn(scope, async function producer(own) {
 *     own.defer(() => numbers.close());
 *     for (const n of [1, 2, 3]) await numbers.send(own, n);
 *   });
 *   for await (const n of numbers.values(scope)) console.log(n); // 1, 2, 3
 * });
 * ```
 */
export function createChannel<T>(capacity: number = 0): Channel<T> {
  checkLimit("createChannel", "capacity", capacity, 0);
  return new CoreChannel<T>(new ChannelCore(capacity));
}

class CoreChannel<T> implements Channel<T> {
  readonly #core: ChannelCore<T>;

  constructor(core: ChannelCore<T>) {
    this.#core = core;
  }

  static coreOf(value: object): ChannelCore<unknown> | undefined {
    return #core in value ? value.#core : undefined;
  }

  get capacity(): number {
    return this.#core.capacity;
  }

  send(scope: Scope, value: T): Promise<void> {
    return inScope("send", scope, (node) => {
      const core = this.#core;
      if (core.closing !== undefined) return refuse(closedError("send", core.closing));
      if (core.offer(value)) return Promise.resolve();
      const wait = new PendingSend(node, value);
      core.awaitRoom(wait);
      return wait.promise;
    });
  }

  receive(scope: Scope): Promise<T> {
    return inScope("receive", scope, (node) => {
      const core = this.#core;
      const ready = core.poll();
      if (ready !== undefined) return Promise.resolve(ready.value);
      if (core.closing !== undefined) return refuse(closedError("receive", core.closing));
      const wait = new PendingReceive<T>(node);
      core.awaitValue(wait);
      return wait.promise;
    });
  }

  tryReceive(): { value: T } | undefined {
    return this.#core.poll();
  }

  close(cause?: unknown): void {
    this.#core.close(cause);
  }

  values(scope: Scope): AsyncIterableIterator<T> {
    return new ChannelIterator(this.#core, nodeOf("values", "scope", scope));
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<T> {
    return new ChannelIterator(this.#core, undefined);
  }
}

/** The inside of a channel, or of one that `value` stands for; `undefined` for anything else. */
export function channelCore(value: unknown): ChannelCore<unknown> | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const core = CoreChannel.coreOf(value);
  if (core !== undefined) return core;
  const subject = subjectOf(value);
  return subject === undefined ? undefined : channelCore(subject);
}
