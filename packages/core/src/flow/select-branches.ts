import { LongTimer } from "../kernel/timer.js";
import { closedError, Receiver, Sender, type ChannelCore, type Closing } from "./channel-core.js";
import type { Alternative, Selection } from "./selection.js";
import { Watch, Watcher } from "./watch.js";

export type Branch = ReceiveBranch | SendBranch | TaskBranch | TimeoutBranch;

// The branches are waiters of their queues, and hooks of nothing: the selection is the hook.

export class ReceiveBranch extends Receiver<unknown> implements Alternative {
  readonly #selection: Selection;
  readonly #key: string;
  readonly #core: ChannelCore<unknown>;

  constructor(selection: Selection, key: string, core: ChannelCore<unknown>) {
    super();
    this.#selection = selection;
    this.#key = key;
    this.#core = core;
  }

  poll(): boolean {
    const ready = this.#core.poll();
    if (ready !== undefined) this.accept(ready.value);
    else if (this.#core.closing !== undefined) this.closed(this.#core.closing);
    else return false;
    return true;
  }

  enter(): void {
    this.#core.awaitValue(this);
  }

  accept(value: unknown): void {
    this.#selection.take(this.#key, value);
  }

  closed(closing: Closing): void {
    this.#selection.fail(closedError("select", closing));
  }

  run(): void {}
}

export class SendBranch extends Sender<unknown> implements Alternative {
  readonly #selection: Selection;
  readonly #key: string;
  readonly #core: ChannelCore<unknown>;

  constructor(selection: Selection, key: string, core: ChannelCore<unknown>, value: unknown) {
    super(value);
    this.#selection = selection;
    this.#key = key;
    this.#core = core;
  }

  poll(): boolean {
    if (this.#core.closing !== undefined) this.closed(this.#core.closing);
    else if (this.#core.offer(this.value)) this.sent();
    else return false;
    return true;
  }

  enter(): void {
    this.#core.awaitRoom(this);
  }

  sent(): void {
    this.#selection.take(this.#key, undefined);
  }

  closed(closing: Closing): void {
    this.#selection.fail(closedError("select", closing));
  }

  run(): void {}
}

export class TaskBranch extends Watcher implements Alternative {
  readonly #selection: Selection;
  readonly #key: string;
  readonly #promise: PromiseLike<unknown>;
  #watch!: Watch;

  constructor(selection: Selection, key: string, promise: PromiseLike<unknown>) {
    super();
    this.#selection = selection;
    this.#key = key;
    this.#promise = promise;
  }

  /** A thenable has a `then` of its own. */
  prepare(): void {
    this.#watch = Watch.of(this.#promise);
  }

  poll(): boolean {
    const { outcome } = this.#watch;
    if (outcome === undefined) return false;
    this.settled(outcome);
    return true;
  }

  enter(): void {
    this.#watch.add(this);
  }

  settled(outcome: PromiseSettledResult<unknown>): void {
    if (outcome.status === "fulfilled") this.#selection.take(this.#key, outcome.value);
    else this.#selection.fail(outcome.reason);
  }

  run(): void {}
}

export class TimeoutBranch implements Alternative {
  readonly #selection: Selection;
  readonly #key: string;
  readonly #ms: number;
  #timer: LongTimer | undefined;

  constructor(selection: Selection, key: string, ms: number) {
    this.#selection = selection;
    this.#key = key;
    this.#ms = ms;
  }

  poll(): boolean {
    return false;
  }

  enter(): void {
    if (this.#ms === Infinity) return;
    this.#timer = new LongTimer(this.#ms, () => this.#selection.take(this.#key, undefined));
  }

  leave(): void {
    this.#timer?.clear();
  }
}
