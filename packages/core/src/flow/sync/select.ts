import { isThenable } from "../../errors/describe.js";
import { wrongType, outOfRange, checkDuration } from "../../errors/validate.js";
import { failToBegin, refuseIn } from "../../kernel/refusal.js";
import type { Scope } from "../../kernel/scope.js";
import { nodeOf } from "../../task/resolve.js";
import { channelCore, type Channel } from "./channel.js";
import { ReceiveBranch, SendBranch, TaskBranch, TimeoutBranch } from "./select-branches.js";
import { Selection, type Branch } from "./selection.js";

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
