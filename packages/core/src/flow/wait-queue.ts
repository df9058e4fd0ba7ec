import { Hook } from "../kernel/hook.js";

/**
 * One who waits in a {@link WaitQueue}: what it is told when its turn comes is its subclass's affair. It is a hook,
 * too, so that waiting in a scope takes no second object.
 */
export abstract class Waiter extends Hook {
  queue: WaitQueue<Waiter> | undefined = undefined;
  ahead: Waiter | undefined = undefined;
  behind: Waiter | undefined = undefined;

  /** Gives up its place; a no-op for one that has none. */
  leave(): void {
    this.queue?.remove(this);
  }
}

/** A queue, first come first served, that one can leave from the middle at no cost. */
export class WaitQueue<W extends Waiter> {
  #first: Waiter | undefined = undefined;
  #last: Waiter | undefined = undefined;

  get empty(): boolean {
    return this.#first === undefined;
  }

  push(waiter: W): void {
    waiter.queue = this as unknown as WaitQueue<Waiter>;
    waiter.ahead = this.#last;
    if (this.#last === undefined) this.#first = waiter;
    else this.#last.behind = waiter;
    this.#last = waiter;
  }

  /** Takes out the first. */
  shift(): W | undefined {
    const first = this.#first;
    if (first !== undefined) this.remove(first);
    return first as W | undefined;
  }

  remove(waiter: Waiter): void {
    const { ahead, behind } = waiter;
    if (ahead === undefined) this.#first = behind;
    else ahead.behind = behind;
    if (behind === undefined) this.#last = ahead;
    else behind.ahead = ahead;
    waiter.queue = waiter.ahead = waiter.behind = undefined;
  }
}
