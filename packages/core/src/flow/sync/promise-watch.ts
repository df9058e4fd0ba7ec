import { nativeThen } from "../../task/run.js";
import { NodeTask } from "../../task/task.js";
import { WaitQueue, type Queued } from "./wait-queue.js";

/** Waits for a promise. */
export interface Watcher extends Queued {
  settled(outcome: PromiseSettledResult<unknown>): void;
}

/**
 * One reaction on a promise, shared by all who watch it. A reaction can't be taken off a promise again, so a loop
 * that selects on the same long-lived task would leave one behind with each turn. A task of which nobody waits any
 * more when it fails is reported as if it had never been watched.
 */
export class Watch {
  static readonly #watches = new WeakMap<PromiseLike<unknown>, Watch>();
  outcome: PromiseSettledResult<unknown> | undefined = undefined;
  readonly #queue = new WaitQueue<Watcher>();

  private constructor(promise: PromiseLike<unknown>) {
    const watched = NodeTask.isTask(promise)
      ? NodeTask.watch(promise, () => !this.#queue.empty)
      : Promise.resolve(promise); // a thenable may call back twice, or with another promise
    void Reflect.apply(nativeThen, watched, [
      (value: unknown) => this.#settle({ status: "fulfilled", value }),
      (reason: unknown) => this.#settle({ status: "rejected", reason }),
    ]);
  }

  static of(promise: PromiseLike<unknown>): Watch {
    let watch = Watch.#watches.get(promise);
    if (watch === undefined) {
      watch = new Watch(promise);
      Watch.#watches.set(promise, watch);
    }
    return watch;
  }

  add(watcher: Watcher): void {
    this.#queue.push(watcher);
  }

  #settle(outcome: PromiseSettledResult<unknown>): void {
    this.outcome = outcome;
    for (let at = this.#queue.shift(); at !== undefined; at = this.#queue.shift()) at.settled(outcome);
  }
}
