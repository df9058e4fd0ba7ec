import type { ScopeNode } from "../../kernel/node.js";
import { endedAlready, refuse, refuseIn } from "../../kernel/refusal.js";
import { closedError, type ChannelCore, type Closing, type Receiver, type Sender } from "./channel-core.js";
import { QueuedWait } from "./wait-queue.js";

/** A pending `send`. */
export class PendingSend<T> extends QueuedWait<void> implements Sender<T> {
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
    this.fail(closedError("send", closing));
  }
}

/** A pending `receive`. */
export class PendingReceive<T> extends QueuedWait<T> implements Receiver<T> {
  get operation(): string {
    return "receive";
  }

  accept(value: T): void {
    this.succeed(value);
  }

  closed(closing: Closing): void {
    this.fail(closedError("receive", closing));
  }
}

type Result<T> = IteratorResult<T, undefined>;

interface Iteration<T> {
  ended: boolean;
  readonly pending: Set<PendingNext<T>>;
}

const done: IteratorReturnResult<undefined> = { done: true, value: undefined };

/** A pending `next()` of an iterator; without a scope only the channel or `return()` ends it. */
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

/** Receives until the channel ends. Several may iterate: each value goes to one of them. */
export class ChannelIterator<T> implements AsyncIterableIterator<T, undefined> {
  readonly #core: ChannelCore<T>;
  readonly #node: ScopeNode | undefined;
  readonly #iteration: Iteration<T> = { ended: false, pending: new Set() };

  constructor(core: ChannelCore<T>, node: ScopeNode | undefined) {
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
    if (iteration.ended) return endedAlready();
    const refused = node === undefined ? undefined : refuseIn("values", node);
    if (refused !== undefined) {
      iteration.ended = true;
      return refused;
    }
    const ready = core.poll();
    if (ready !== undefined) return Promise.resolve({ done: false, value: ready.value });
    if (core.closing === undefined) {
      const wait = new PendingNext(node, iteration);
      core.awaitValue(wait);
      return wait.promise;
    }
    iteration.ended = true;
    return core.closing.cause === undefined ? Promise.resolve(done) : refuse(core.closing.cause);
  }

  return(): Promise<Result<T>> {
    this.#iteration.ended = true;
    for (const next of this.#iteration.pending) next.returned();
    return Promise.resolve(done);
  }
}
