import { nativeThen } from "../../task/worker.js";
import { NodeTask, watchOutcome } from "../../task/task.js";
import { WaitQueue, type Queued } from "./wait-queue.js";

/** Receives the outcome of a promise. */
export interface PromiseWatcher extends Queued {
  settled(outcome: PromiseSettledResult<unknown>): void;
}

const watches = new WeakMap<PromiseLike<unknown>, PromiseWatch>();

/**
 * One reaction on a promise, shared by all its watchers.
 *
 * A reaction can't be removed from a promise, so a loop that selects on the same long-lived task would add one in each
 * iteration. If a task fails while it has no watcher, its failure is reported as if it had never been watched.
 */
export class PromiseWatch {
  outcome: PromiseSettledResult<unknown> | undefined = undefined;
  readonly #queue = new WaitQueue<PromiseWatcher>();

  private constructor(promise: PromiseLike<unknown>) {
    const node = NodeTask.nodeOf(promise);
    const watched =
      node === undefined
        ? Promise.resolve(promise) // a thenable may call back twice, or with another promise
        : watchOutcome(promise as NodeTask<unknown>, node, () => !this.#queue.empty);
    void Reflect.apply(nativeThen, watched, [
      (value: unknown) => this.#settle({ status: "fulfilled", value }),
      (reason: unknown) => this.#settle({ status: "rejected", reason }),
    ]);
  }

  static of(promise: PromiseLike<unknown>): PromiseWatch {
    let watch = watches.get(promise);
    if (watch === undefined) {
      watch = new PromiseWatch(promise);
      watches.set(promise, watch);
    }
    return watch;
  }

  add(watcher: PromiseWatcher): void {
    this.#queue.push(watcher);
  }

  #settle(outcome: PromiseSettledResult<unknown>): void {
    this.outcome = outcome;
    this.#queue.drain((watcher) => watcher.settled(outcome));
  }
}
