import type { CancelledError } from "../errors/cancelled.js";
import { addHook, removeHook } from "../kernel/hook.js";
import type { ScopeNode } from "../kernel/node.js";
import { closedError, Receiver, Sender, type ChannelCore, type Closing } from "./channel-core.js";
import { refusal } from "./refusal.js";

type Reject = (error: unknown) => void;

/** A pending `send`. */
export class PendingSend<T> extends Sender<T> {
  readonly #node: ScopeNode;
  readonly #resolve: () => void;
  readonly #reject: Reject;

  constructor(node: ScopeNode, value: T, resolve: () => void, reject: Reject) {
    super(value);
    this.#node = node;
    this.#resolve = resolve;
    this.#reject = reject;
    addHook(node, this);
  }

  sent(): void {
    removeHook(this.#node, this);
    this.#resolve();
  }

  closed(closing: Closing): void {
    removeHook(this.#node, this);
    this.#reject(closedError("send", closing));
  }

  run(reason: CancelledError): void {
    this.leave();
    this.#reject(reason);
  }

  override ended(): void {
    this.leave();
    this.#reject(refusal("send", this.#node));
  }
}

/** A pending `receive`. */
export class PendingReceive<T> extends Receiver<T> {
  readonly #node: ScopeNode;
  readonly #resolve: (value: T) => void;
  readonly #reject: Reject;

  constructor(node: ScopeNode, resolve: (value: T) => void, reject: Reject) {
    super();
    this.#node = node;
    this.#resolve = resolve;
    this.#reject = reject;
    addHook(node, this);
  }

  accept(value: T): void {
    removeHook(this.#node, this);
    this.#resolve(value);
  }

  closed(closing: Closing): void {
    removeHook(this.#node, this);
    this.#reject(closedError("receive", closing));
  }

  run(reason: CancelledError): void {
    this.leave();
    this.#reject(reason);
  }

  override ended(): void {
    this.leave();
    this.#reject(refusal("receive", this.#node));
  }
}

type Result<T> = IteratorResult<T, undefined>;

interface Iteration<T> {
  ended: boolean;
  readonly pending: Set<PendingNext<T>>;
}

const done: IteratorReturnResult<undefined> = { done: true, value: undefined };

/** A pending `next()` of an iterator; without a scope only the channel or `return()` ends it. */
class PendingNext<T> extends Receiver<T> {
  readonly #node: ScopeNode | undefined;
  readonly #iteration: Iteration<T>;
  readonly #resolve: (result: Result<T>) => void;
  readonly #reject: Reject;

  constructor(
    node: ScopeNode | undefined,
    iteration: Iteration<T>,
    resolve: (result: Result<T>) => void,
    reject: Reject,
  ) {
    super();
    this.#node = node;
    this.#iteration = iteration;
    this.#resolve = resolve;
    this.#reject = reject;
    iteration.pending.add(this);
    if (node !== undefined) addHook(node, this);
  }

  accept(value: T): void {
    this.#forget();
    this.#resolve({ done: false, value });
  }

  closed({ cause }: Closing): void {
    this.#end();
    if (cause === undefined) this.#resolve(done);
    else this.#reject(cause);
  }

  returned(): void {
    this.leave();
    this.#end();
    this.#resolve(done);
  }

  run(reason: CancelledError): void {
    this.leave();
    this.#end();
    this.#reject(reason);
  }

  override ended(): void {
    this.leave();
    this.#end();
    this.#reject(refusal("values", this.#node as ScopeNode));
  }

  #end(): void {
    this.#iteration.ended = true;
    this.#forget();
  }

  #forget(): void {
    this.#iteration.pending.delete(this);
    if (this.#node !== undefined) removeHook(this.#node, this);
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
    return new Promise((resolve, reject) => {
      if (iteration.ended) return resolve(done);
      const refused = node === undefined ? undefined : refusal("values", node);
      if (refused !== undefined) {
        iteration.ended = true;
        return reject(refused);
      }
      const ready = core.poll();
      if (ready !== undefined) return resolve({ done: false, value: ready.value });
      if (core.closing === undefined) {
        core.awaitValue(new PendingNext(node, iteration, resolve, reject));
        return;
      }
      iteration.ended = true;
      if (core.closing.cause === undefined) resolve(done);
      else reject(core.closing.cause);
    });
  }

  return(): Promise<Result<T>> {
    this.#iteration.ended = true;
    for (const next of this.#iteration.pending) next.returned();
    return Promise.resolve(done);
  }
}
