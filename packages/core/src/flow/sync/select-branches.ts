import { LongTimer } from "../../kernel/long-timer.js";
import { closedError, type ChannelCore, type Closing, type Receiver, type Sender } from "./channel-core.js";
import { Branch } from "./selection.js";
import { Watch, type Watcher } from "./promise-watch.js";

export class ReceiveBranch extends Branch implements Receiver<unknown> {
  readonly #core: ChannelCore<unknown>;
  /** What was given for the channel: it may hold whoever sends. */
  readonly channel: unknown;

  constructor(key: string, core: ChannelCore<unknown>, channel: unknown) {
    super(key);
    this.#core = core;
    this.channel = channel;
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
    this.selection.take(this.key, value);
  }

  closed(closing: Closing): void {
    this.selection.fail(closedError("select", closing));
  }
}

export class SendBranch extends Branch implements Sender<unknown> {
  readonly value: unknown;
  readonly #core: ChannelCore<unknown>;
  /** What was given for the channel: it may hold whoever receives. */
  readonly channel: unknown;

  constructor(key: string, core: ChannelCore<unknown>, value: unknown, channel: unknown) {
    super(key);
    this.value = value;
    this.#core = core;
    this.channel = channel;
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
    this.selection.take(this.key, undefined);
  }

  closed(closing: Closing): void {
    this.selection.fail(closedError("select", closing));
  }
}

export class TaskBranch extends Branch implements Watcher {
  readonly #promise: PromiseLike<unknown>;
  #watch!: Watch;

  constructor(key: string, promise: PromiseLike<unknown>) {
    super(key);
    this.#promise = promise;
  }

  /** A thenable has a `then` of its own. */
  override prepare(): void {
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
    if (outcome.status === "fulfilled") this.selection.take(this.key, outcome.value);
    else this.selection.fail(outcome.reason);
  }
}

export class TimeoutBranch extends Branch {
  readonly #ms: number;
  #timer: LongTimer | undefined;

  constructor(key: string, ms: number) {
    super(key);
    this.#ms = ms;
  }

  poll(): boolean {
    return false;
  }

  enter(): void {
    if (this.#ms === Infinity) return;
    const { owner } = this.selection;
    this.#timer = new LongTimer(this.#ms, () => this.selection.take(this.key, undefined), owner);
  }

  override leave(): void {
    this.#timer?.clear();
  }
}
