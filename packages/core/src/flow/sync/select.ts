import { isThenable } from "../../errors/describe.js";
import { checkDuration, outOfRange, wrongType } from "../../errors/validate.js";
import { LongTimer } from "../../kernel/long-timer.js";
import type { ScopeNode } from "../../kernel/node.js";
import { failToBegin, refuseIn, yieldBefore } from "../../kernel/refusal.js";
import type { Scope } from "../../kernel/scope.js";
import { ScopedWait } from "../../kernel/scoped-wait.js";
import { nodeOf } from "../../task/resolve.js";
import {
  channelCore,
  closedError,
  type Channel,
  type ChannelCore,
  type Closing,
  type Receiver,
  type Sender,
} from "./channel.js";
import { Watch, type Watcher } from "./promise-watch.js";
import type { Queued, WaitQueue } from "./wait-queue.js";

/** A branch of {@link select} that sends. Made by {@link sending}. */
export class SendCase<T> {
  readonly channel: Channel<T>;
  readonly value: T;

  constructor(channel: Channel<T>, value: T) {
    this.channel = channel;
    this.value = value;
  }
}

/** A channel to receive from, a task or promise to wait for, milliseconds to wait at most, or something to send. */
export type SelectCase = Channel<unknown> | PromiseLike<unknown> | number | SendCase<unknown>;

/** What a branch gives: the value received or awaited, nothing for what was sent and for a timeout. */
export type SelectValue<C> =
  C extends SendCase<unknown>
    ? undefined
    : C extends number
      ? undefined
      : C extends Channel<infer T>
        ? T
        : C extends PromiseLike<infer T>
          ? T
          : never;

/** The branch that was taken, and its value: `switch` on `key`. */
export type Selected<C> = {
  [K in keyof C]-?: { readonly key: K; readonly value: SelectValue<C[K]> };
}[keyof C];

/**
 * Waits for the first of several things, and does that one only: Go's `select`. A branch is a channel (receive), a
 * `sending(channel, value)`, a task or any promise, or a number of milliseconds.
 *
 * If several are ready, the one that is written first is taken, so put what must not starve on top. The other branches
 * have not happened: nothing was received or sent there, no task was cancelled, no timer is left.
 *
 * **Failure:** rejects with what the task or promise of the branch rejected with, or with a `ChannelClosedError` when a
 * channel turns out to be closed, drained that is for a branch that receives.
 *
 * **Cancellation:** rejects with the reason as soon as `scope` is cancelled, at once if it already is; no branch was
 * taken.
 *
 * @param scope - Who waits.
 * @param cases - The branches by name; at least one.
 * @returns The name of the branch and its value, as a union to switch on.
 * @throws {RangeError} (as a rejection) If there are no branches.
 * @throws {ScopeClosedError} (as a rejection) If `scope` has ended, or ends while this waits.
 * @throws {TypeError} (as a rejection) If an argument is of the wrong type.
 * @example
 * ```ts
 * await withScope(async (scope) => {
 *   const jobs = createChannel<string>(1);
 *   await jobs.send(scope, "paint");
 *   const turn = await select(scope, { job: jobs, idle: 1_000 });
 *   if (turn.key === "job") console.log(turn.value.toUpperCase()); // PAINT
 * });
 * ```
 */
export function select<const C extends Readonly<Record<string, SelectCase>>>(
  scope: Scope,
  cases: C,
): Promise<Selected<C>> {
  try {
    const node = nodeOf("select", "scope", scope);
    const branches = parse(cases);
    return (refuseIn("select", node) ?? Selection.begin(node, branches)) as Promise<Selected<C>>;
  } catch (error) {
    return failToBegin(error);
  }
}

/**
 * A branch of {@link select} that sends `value` as soon as `channel` takes it, and only if that branch is chosen.
 *
 * **Cancellation:** none of its own; see {@link select}.
 *
 * **Failure:** none of its own; see {@link select}.
 *
 * @throws {TypeError} If `channel` is no channel.
 * @example
 * ```ts
 * await withScope(async (scope) => {
 *   const results = createChannel<number>(1);
 *   const { key } = await select(scope, { sent: sending(results, 42), tired: 1_000 });
 *   console.log(key, results.tryReceive()); // sent { value: 42 }
 * });
 * ```
 */
export function sending<T>(channel: Channel<T>, value: NoInfer<T>): SendCase<T> {
  if (channelCore(channel) === undefined) {
    throw wrongType("sending", "channel must come from createChannel()", channel);
  }
  return new SendCase(channel, value);
}

function parse(cases: unknown): Branch[] {
  if (typeof cases !== "object" || cases === null) {
    throw wrongType("select", "cases must be an object such as { job: channel }", cases);
  }
  const branches = Object.entries(cases).map(([key, value]) => toBranch(key, value));
  if (branches.length === 0) throw outOfRange("select", "cases must not be empty", cases);
  return branches;
}

function toBranch(key: string, value: unknown): Branch {
  if (typeof value === "number") {
    checkDuration("select", key, value);
    return new TimeoutBranch(key, value);
  }
  if (value instanceof SendCase) {
    const core = channelCore(value.channel);
    if (core !== undefined) return new SendBranch(key, core, value.value, value.channel);
  }
  const core = channelCore(value);
  if (core !== undefined) return new ReceiveBranch(key, core, value);
  if (isThenable(value)) return new TaskBranch(key, value);
  throw wrongType(
    "select",
    `${key} must be a channel, a task, a promise, a number of ms, or made by sending()`,
    value,
  );
}

/** The branch that was taken, and its value. */
export interface Taken {
  readonly key: string;
  readonly value: unknown;
}

/** One of the things that a `select` waits for, and its place in a queue while it does. */
export abstract class Branch implements Queued {
  queue: WaitQueue<Queued> | undefined = undefined;
  ahead: Queued | undefined = undefined;
  behind: Queued | undefined = undefined;
  protected readonly key: string;
  /** Set before `poll` and `enter` are called. */
  selection!: Selection;

  constructor(key: string) {
    this.key = key;
  }

  /** Calls code of the user's, which may send, close and cancel: before anything is looked at. */
  prepare(): void {}

  /** Does it if it can be done now; says whether the selection is over. */
  abstract poll(): boolean;

  /** Waits for its turn. */
  abstract enter(): void;

  leave(): void {
    this.queue?.remove(this);
  }
}

/** A pending `select`: whatever ends it takes all its branches out of their queues in the same step. */
export class Selection extends ScopedWait<Taken> {
  readonly #branches: readonly Branch[];

  /** The scope that it ends with. */
  get owner(): ScopeNode | undefined {
    return this.node;
  }

  private constructor(node: ScopeNode, branches: readonly Branch[]) {
    super(node);
    this.#branches = branches;
  }

  get operation(): string {
    return "select";
  }

  /** Takes the first branch that is ready; without one, waits for all of them. */
  static begin(node: ScopeNode, branches: readonly Branch[]): Promise<Taken> {
    for (const branch of branches) branch.prepare();
    const refused = refuseIn("select", node);
    if (refused !== undefined) return refused;
    const selection = new Selection(node, branches);
    for (const branch of branches) branch.selection = selection;
    for (const branch of branches) if (branch.poll()) return yieldIfFailed(selection);
    for (const branch of branches) branch.enter();
    return selection.promise;
  }

  /** Whether {@link fail} was called. */
  failed = false;

  take(key: string, value: unknown): void {
    this.withdraw();
    this.succeed({ key, value });
  }

  override fail(error: unknown): void {
    this.failed = true;
    this.withdraw();
    super.fail(error);
  }

  protected override withdraw(): void {
    for (const branch of this.#branches) branch.leave();
  }
}

function yieldIfFailed(selection: Selection): Promise<Taken> {
  return selection.failed ? yieldBefore(selection.promise, false) : selection.promise;
}

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
