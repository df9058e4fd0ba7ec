import { BoughError } from "../../errors/bough-error.js";
import { checkLimit, refuseOptions } from "../../errors/validate.js";
import type { ScopeNode } from "../../kernel/node.js";
import { done, throttledDone, rejectThrottled, rejectUnlessLive } from "../../kernel/throttled-results.js";
import type { Scope } from "../../kernel/scope.js";
import { inScope } from "../../task/in-scope.js";
import { nodeOf } from "../../task/node-of.js";
import { ChannelCore, type Closing, type Receiver, type Sender } from "./channel-core.js";
import { setCoreOf } from "./find-channel-core.js";
import { QueuedWait } from "./wait-queue.js";

/**
 * A queue between tasks, with back-pressure. Made by {@link createChannel}.
 *
 * Each value goes to one receiver. Senders and receivers are served first come, first served. A `send` or `receive` that
 * was cancelled has sent or received nothing.
 *
 * A channel is an async iterable that yields values until the channel is closed. No scope ends that iteration. To end
 * it with a scope, iterate over {@link values}.
 */
export interface Channel<T> extends AsyncIterable<T> {
  /** How many values the channel buffers. */
  readonly capacity: number;

  /**
   * Whether `close` was called. Values that were sent before may still be received. For a receiver the channel has ended
   * only when {@link tryReceive} or {@link receive} says so.
   */
  readonly closed: boolean;

  /**
   * Sends `value`: resolves when a receiver or the buffer has accepted it.
   *
   * @throws {CancelledError} The reason of `scope` (as a rejection); `value` was not sent.
   * @throws {ScopeClosedError} If `scope` has ended, or ends while this waits (as a rejection).
   * @throws {ChannelClosedError} If the channel is closed, now or while this waits (as a rejection).
   */
  send(scope: Scope, value: T): Promise<void>;

  /**
   * Receives the next value.
   *
   * @throws {CancelledError} The reason of `scope` (as a rejection); no value was taken.
   * @throws {ScopeClosedError} If `scope` has ended, or ends while this waits (as a rejection).
   * @throws {ChannelClosedError} If the channel is closed and drained, now or while this waits (as a rejection).
   */
  receive(scope: Scope): Promise<T>;

  /**
   * Sends `value` if a receiver waits or the buffer has room. Does not wait, and needs no scope: for callbacks of events.
   *
   * @returns Whether `value` was sent. `false` means that the channel is full, or that it is {@link closed}.
   */
  trySend(value: T): boolean;

  /**
   * Receives a value from the buffer or from a sender that waits, if there is one. Does not wait.
   *
   * @returns `{ closed: false, value }` if there is a value. `undefined` if there is none and one may still come.
   *   `{ closed: true, cause }` with the argument of `close` if the channel is closed and empty.
   */
  tryReceive(): Received<T> | undefined;

  /**
   * Closes the channel. Buffered values can still be received; senders that wait are rejected. Later calls have no effect.
   *
   * @param cause - The error that iterations throw at their end, and the `cause` of every `ChannelClosedError`.
   */
  close(cause?: unknown): void;

  /**
   * Iterates over the values until the channel is closed. When `scope` is cancelled, `next()` rejects with the reason.
   * Leaving the loop does not close the channel.
   */
  values(scope: Scope): AsyncIterableIterator<T>;
}

/** The result of {@link Channel.tryReceive}: a value, or the end of the channel. */
export type Received<T> =
  { readonly closed: false; readonly value: T } | { readonly closed: true; readonly cause: unknown };

/**
 * Creates a channel.
 *
 * **Cancellation:** `send`, `receive` and `values` take the scope that waits, and reject with its reason when it is
 * cancelled. A value is then neither lost nor delivered twice: it was not sent, or another receiver gets it.
 *
 * **Failure:** `close(cause)` passes a failure to the other end. A channel belongs to no scope. Close it when the last
 * sender ends (`scope.defer(() => channel.close())`); otherwise its receivers wait until they are cancelled.
 *
 * @param capacity - How many values may wait for a receiver; a whole number from 0, or `Infinity`. Default 0: a `send`
 *   waits for its receiver.
 * @returns The channel.
 * @throws {TypeError | RangeError} If `capacity` is not such a number.
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
export function createChannel<T>(capacity?: number): Channel<T>;
export function createChannel<T>(capacity: number = 0, extra?: unknown): Channel<T> {
  refuseOptions("createChannel", extra);
  checkLimit("createChannel", "capacity", capacity, 0);
  return new BufferedChannel<T>(new ChannelCore(capacity));
}

/**
 * Thrown by `send` when the channel is closed, and by `receive` when it is closed and empty. Its `cause` is the argument of
 * `close(cause)`.
 */
export class ChannelClosedError extends BoughError {
  constructor(operation: string, options?: ErrorOptions) {
    super("BOUGH_CHANNEL_CLOSED", `${operation}: the channel is closed`, options);
  }

  static {
    this.prototype.name = "ChannelClosedError";
  }
}

class BufferedChannel<T> implements Channel<T> {
  readonly #core: ChannelCore<T>;

  constructor(core: ChannelCore<T>) {
    this.#core = core;
    setCoreOf(BufferedChannel.#coreOf);
  }

  static #coreOf(this: void, value: object): ChannelCore<unknown> | undefined {
    return #core in value ? value.#core : undefined;
  }

  get capacity(): number {
    return this.#core.capacity;
  }

  get closed(): boolean {
    return this.#core.closing !== undefined;
  }

  send(scope: Scope, value: T, extra?: unknown): Promise<void> {
    return inScope("send", scope, extra, (node) => {
      const core = this.#core;
      if (core.closing !== undefined) return rejectThrottled(channelClosedError("send", core.closing));
      if (core.offer(value, node)) return Promise.resolve();
      const wait = new PendingSend(node, value);
      core.addSender(wait);
      return wait.promise;
    });
  }

  receive(scope: Scope, extra?: unknown): Promise<T> {
    return inScope("receive", scope, extra, (node) => {
      const core = this.#core;
      const ready = core.poll(node);
      if (ready !== undefined) return Promise.resolve(ready.value);
      if (core.closing !== undefined) return rejectThrottled(channelClosedError("receive", core.closing));
      const wait = new PendingReceive<T>(node);
      core.addReceiver(wait);
      return wait.promise;
    });
  }

  trySend(value: T): boolean {
    const core = this.#core;
    return core.closing === undefined && core.offer(value);
  }

  tryReceive(): Received<T> | undefined {
    const core = this.#core;
    const ready = core.poll();
    if (ready !== undefined) return { closed: false, value: ready.value };
    return core.closing === undefined ? undefined : { closed: true, cause: core.closing.cause };
  }

  close(cause?: unknown): void {
    this.#core.close(cause);
  }

  values(scope: Scope, extra?: unknown): AsyncIterableIterator<T> {
    refuseOptions("values", extra);
    return new ChannelIterator(this.#core, nodeOf("values", "scope", scope));
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<T> {
    return new ChannelIterator(this.#core);
  }
}

export function channelClosedError(operation: string, { cause }: Closing): ChannelClosedError {
  return new ChannelClosedError(operation, cause === undefined ? undefined : { cause });
}

/** A pending `send`. */
class PendingSend<T> extends QueuedWait<void> implements Sender<T> {
  readonly value: T;

  constructor(node: ScopeNode, value: T) {
    super(node);
    this.value = value;
  }

  get operation(): string {
    return "send";
  }

  sent(): void {
    this.succeed();
  }

  closed(closing: Closing): void {
    this.fail(channelClosedError("send", closing));
  }
}

/** A pending `receive`. */
class PendingReceive<T> extends QueuedWait<T> implements Receiver<T> {
  get operation(): string {
    return "receive";
  }

  accept(value: T): void {
    this.succeed(value);
  }

  closed(closing: Closing): void {
    this.fail(channelClosedError("receive", closing));
  }
}

type Result<T> = IteratorResult<T, undefined>;

interface Iteration<T> {
  ended: boolean;
  readonly pending: Set<PendingNext<T>>;
}

/** A pending `next()` of an iterator. Without a scope, only the channel or `return()` ends it. */
class PendingNext<T> extends QueuedWait<Result<T>> implements Receiver<T> {
  readonly #iteration: Iteration<T>;

  constructor(node: ScopeNode | undefined, iteration: Iteration<T>) {
    super(node);
    this.#iteration = iteration;
    iteration.pending.add(this);
  }

  get operation(): string {
    return "values";
  }

  accept(value: T): void {
    this.#iteration.pending.delete(this);
    this.succeed({ done: false, value });
  }

  closed({ cause }: Closing): void {
    this.#endIteration();
    if (cause === undefined) this.succeed(done);
    else this.fail(cause);
  }

  returned(): void {
    this.withdraw();
    this.succeed(done);
  }

  protected override withdraw(): void {
    super.withdraw();
    this.#endIteration();
  }

  #endIteration(): void {
    this.#iteration.ended = true;
    this.#iteration.pending.delete(this);
  }
}

/** Receives values until the channel is closed. With several iterators, each value goes to one of them. */
class ChannelIterator<T> implements AsyncIterableIterator<T, undefined> {
  readonly #core: ChannelCore<T>;
  readonly #node: ScopeNode | undefined;
  readonly #iteration: Iteration<T> = { ended: false, pending: new Set() };

  constructor(core: ChannelCore<T>, node?: ScopeNode) {
    this.#core = core;
    this.#node = node;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Result<T>> {
    const core = this.#core;
    const node = this.#node;
    const iteration = this.#iteration;
    if (iteration.ended) return throttledDone();
    const refused = node === undefined ? undefined : rejectUnlessLive("values", node);
    if (refused !== undefined) {
      iteration.ended = true;
      return refused;
    }
    const ready = core.poll(node);
    if (ready !== undefined) return Promise.resolve({ done: false, value: ready.value });
    if (core.closing === undefined) {
      const wait = new PendingNext(node, iteration);
      core.addReceiver(wait);
      return wait.promise;
    }
    iteration.ended = true;
    return core.closing.cause === undefined ? Promise.resolve(done) : rejectThrottled(core.closing.cause);
  }

  return(): Promise<Result<T>> {
    this.#iteration.ended = true;
    for (const next of this.#iteration.pending) next.returned();
    return Promise.resolve(done);
  }
}
