import { isObjectLike, isThenable } from "../../errors/user-values.js";
import { checkDuration, outOfRange, refuseOptions, wrongType } from "../../errors/validate.js";
import { LongTimer } from "../../kernel/long-timer.js";
import type { ScopeNode } from "../../kernel/node.js";
import { rejectBeforeStart, rejectUnlessLive, throttle } from "../../kernel/throttled-results.js";
import type { Scope } from "../../kernel/scope.js";
import { ScopedWait } from "../../kernel/scoped-wait.js";
import { nodeOf } from "../../task/node-of.js";
import { channelClosedError, type Channel } from "./channel.js";
import { channelCore } from "./find-channel-core.js";
import type { ChannelCore, Closing, Receiver, Sender } from "./channel-core.js";
import { PromiseWatch, type PromiseWatcher } from "./promise-watch.js";
import type { Queued, WaitQueue } from "./wait-queue.js";

/** A case of {@link select} that sends. Made by {@link sending}. */
export class SendCase<T> {
  /** The channel to send to. */
  readonly channel: Channel<T>;
  /** The value to send. */
  readonly value: T;

  constructor(channel: Channel<T>, value: T) {
    this.channel = channel;
    this.value = value;
  }
}

/** A case of {@link select}: a channel to receive from, a task or promise, a timeout in ms, or a value to send. */
export type SelectCase = Channel<unknown> | PromiseLike<unknown> | number | SendCase<unknown>;

/** The value of a case: the value received or awaited; `undefined` for a send and a timeout. */
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

/** The result of {@link select}: the key of the case that happened, to `switch` on, and its value. */
export type Selected<C> = {
  [K in keyof C]-?: { readonly key: K; readonly value: SelectValue<C[K]> };
}[keyof C] extends infer S // makes editors show the members of the union, and not the name of this type
  ? S
  : never;

/**
 * Waits until one of several cases is ready, and does exactly that one, as Go's `select` does.
 *
 * A case is a channel (receive), `sending(channel, value)`, a task or any promise, or a timeout in milliseconds. If
 * several are ready, the first in the object is taken, so list a case that must not starve first. The other cases have no
 * effect: nothing is received or sent there, no task is cancelled, and no timer remains.
 *
 * **Failure:** rejects with the rejection of the task or promise of the case that was taken. Rejects with a
 * `ChannelClosedError` when the channel of a case is closed and, for a receive, empty.
 *
 * **Cancellation:** rejects with the reason as soon as `scope` is cancelled, immediately if it already is. No case was
 * taken then.
 *
 * @param scope - The scope that waits.
 * @param cases - The cases by name; at least one.
 * @returns The name of the case and its value, as a union to switch on.
 * @throws {RangeError} (as a rejection) If there are no cases.
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
): Promise<Selected<C>>;
export function select(scope: Scope, cases: unknown, extra?: unknown): Promise<unknown> {
  try {
    refuseOptions("select", extra);
    const node = nodeOf("select", "scope", scope);
    const branches = parse(cases);
    return rejectUnlessLive("select", node) ?? Selection.begin(node, branches);
  } catch (error) {
    return rejectBeforeStart(error);
  }
}

/**
 * Makes a case of {@link select} that sends `value` to `channel`.
 *
 * **Cancellation:** as {@link select}. The value is sent only if the case is taken.
 *
 * **Failure:** as {@link select}.
 *
 * @param channel - The channel to send to.
 * @param value - The value to send.
 * @returns The case.
 * @throws {TypeError} If `channel` is not a channel.
 * @example
 * ```ts
 * await withScope(async (scope) => {
 *   const results = createChannel<number>(1);
 *   const { key } = await select(scope, { sent: sending(results, 42), tired: 1_000 });
 *   console.log(key, results.tryReceive()); // sent { closed: false, value: 42 }
 * });
 * ```
 */
export function sending<T>(channel: Channel<T>, value: NoInfer<T>): SendCase<T>;
export function sending<T>(channel: Channel<T>, value: T, extra?: unknown): SendCase<T> {
  refuseOptions("sending", extra);
  if (channelCore(channel) === undefined) {
    throw wrongType("sending", "channel must come from createChannel()", channel);
  }
  return new SendCase(channel, value);
}

function parse(cases: unknown): Branch[] {
  if (!isObjectLike(cases)) {
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
interface TakenBranch {
  readonly key: string;
  readonly value: unknown;
}

/** A case of a pending `select`, and its entry in the queue of a channel or a promise while it waits. */
abstract class Branch implements Queued {
  // As in `Hook`, the fields are assigned in the constructor only.
  declare queue: WaitQueue<Queued> | undefined;
  declare ahead: Queued | undefined;
  declare behind: Queued | undefined;
  declare protected readonly key: string;
  /** Set before `poll` and `enter` are called. */
  declare selection: Selection;

  constructor(key: string) {
    this.queue = undefined;
    this.ahead = undefined;
    this.behind = undefined;
    this.key = key;
    this.selection = undefined as never;
  }

  /** The scope that waits. */
  get owner(): ScopeNode | undefined {
    return this.selection.owner;
  }

  /** Calls user code, which may send, close and cancel. So it runs before any branch is polled. */
  prepare(): void {}

  /** Does the case if it is ready. Returns whether the selection has ended. */
  abstract poll(): boolean;

  /** Starts to wait. */
  abstract enter(): void;

  leave(): void {
    this.queue?.remove(this);
  }

  hasTimer(): boolean {
    return false;
  }

  holdTimer(): void {}
}

/** A pending `select`. Ending it removes all its branches from their queues in the same synchronous step. */
class Selection extends ScopedWait<TakenBranch> {
  readonly #branches: readonly Branch[];

  /** The scope that waits. */
  get owner(): ScopeNode | undefined {
    return this.node;
  }

  private constructor(node: ScopeNode, branches: readonly Branch[]) {
    super(node);
    this.#branches = branches;
    this.failed = false;
    this.hasTaken = false;
  }

  get operation(): string {
    return "select";
  }

  /** Does the first branch that is ready. If none is ready, waits for all of them. */
  static begin(node: ScopeNode, branches: readonly Branch[]): Promise<TakenBranch> {
    for (const branch of branches) branch.prepare();
    const refused = rejectUnlessLive("select", node);
    if (refused !== undefined) return refused;
    const selection = new Selection(node, branches);
    for (const branch of branches) branch.selection = selection;
    for (const branch of branches) if (branch.poll()) return throttleIfFailed(selection);
    for (const branch of branches) {
      branch.enter();
      if (selection.hasTaken) break; // its value was for a receiver that had to wait for it
    }
    return selection.promise;
  }

  /** Whether {@link fail} was called. */
  declare failed: boolean;

  /** Whether {@link take} was called. */
  declare hasTaken: boolean;

  take(key: string, value?: unknown): void {
    this.hasTaken = true;
    this.withdraw();
    this.succeed({ key, value });
  }

  override fail(error: unknown): void {
    this.failed = true;
    this.withdraw();
    super.fail(error);
  }

  hasTimer(): boolean {
    return this.#branches.some((branch) => branch.hasTimer());
  }

  holdTimer(): void {
    for (const branch of this.#branches) branch.holdTimer();
  }

  protected override withdraw(): void {
    for (const branch of this.#branches) branch.leave();
  }
}

function throttleIfFailed(selection: Selection): Promise<TakenBranch> {
  return selection.failed ? throttle(selection.promise, false) : selection.promise;
}

class ReceiveBranch extends Branch implements Receiver<unknown> {
  readonly #core: ChannelCore<unknown>;
  /** The argument that was passed as the channel. A facade keeps the owner of its senders alive. */
  readonly channel: unknown;

  constructor(key: string, core: ChannelCore<unknown>, channel: unknown) {
    super(key);
    this.#core = core;
    this.channel = channel;
  }

  poll(): boolean {
    const ready = this.#core.poll(this.owner);
    if (ready !== undefined) this.accept(ready.value);
    else if (this.#core.closing !== undefined) this.closed(this.#core.closing);
    else return false;
    return true;
  }

  enter(): void {
    this.#core.addReceiver(this);
  }

  accept(value: unknown): void {
    this.selection.take(this.key, value);
  }

  closed(closing: Closing): void {
    this.selection.fail(channelClosedError("select", closing));
  }
}

class SendBranch extends Branch implements Sender<unknown> {
  readonly value: unknown;
  readonly #core: ChannelCore<unknown>;
  /** The argument that was passed as the channel. A facade keeps the owner of its receivers alive. */
  readonly channel: unknown;

  constructor(key: string, core: ChannelCore<unknown>, value: unknown, channel: unknown) {
    super(key);
    this.value = value;
    this.#core = core;
    this.channel = channel;
  }

  poll(): boolean {
    if (this.#core.closing !== undefined) this.closed(this.#core.closing);
    else if (this.#core.offer(this.value, this.owner)) this.sent();
    else return false;
    return true;
  }

  enter(): void {
    this.#core.addSender(this);
  }

  sent(): void {
    this.selection.take(this.key);
  }

  closed(closing: Closing): void {
    this.selection.fail(channelClosedError("select", closing));
  }
}

class TaskBranch extends Branch implements PromiseWatcher {
  readonly #promise: PromiseLike<unknown>;
  #watch!: PromiseWatch;

  constructor(key: string, promise: PromiseLike<unknown>) {
    super(key);
    this.#promise = promise;
  }

  /** Calls `then` of a thenable. */
  override prepare(): void {
    this.#watch = PromiseWatch.of(this.#promise);
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

class TimeoutBranch extends Branch {
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
    this.#timer = new LongTimer(this.#ms, () => this.selection.take(this.key), owner);
  }

  override leave(): void {
    this.#timer?.clear();
  }

  override hasTimer(): boolean {
    return this.#timer !== undefined;
  }

  override holdTimer(): void {
    this.#timer?.hold(true);
  }
}
