import { ReusePool } from "../kernel/reuse-pool.js";
import { nativeThen } from "../task/worker.js";

/** The part of an exchange that is used. */
interface Follower {
  onReturn(value: unknown): void;
  onFailure(error: unknown): void;
  /** Called at the end of `onReturn`. */
  retire(): void;
}

/** Calls back with the outcome of a handler's promise. Both it and its `then` must be native. For Bun; see `reuse-pool.ts`. */
export function followInBun(exchange: Follower, promise: Promise<unknown>): void {
  const reactions = unusedReactions.take() ?? new HandlerReactions();
  reactions.exchange = exchange;
  // Not by `promise.then`, which may be a getter: any other function could call back twice.
  void nativeThen.call(promise, reactions.returned, reactions.failed);
}

/** The reactions to the promise of a handler, for one request after the other. */
class HandlerReactions {
  exchange: Follower | undefined = undefined;

  readonly returned = (value: unknown): void => {
    const exchange = this.release();
    exchange.onReturn(value);
    exchange.retire();
  };

  readonly failed = (error: unknown): void => this.release().onFailure(error);

  release(): Follower {
    const exchange = this.exchange as Follower;
    this.exchange = undefined;
    unusedReactions.put(this);
    return exchange;
  }
}

const unusedReactions = new ReusePool<HandlerReactions>();
