import { isObject } from "../errors/user-values.js";
import type { CancelledError } from "../errors/cancelled.js";
import type { TaskInfo } from "../errors/scope-errors.js";
import { setDeadline } from "../kernel/deadline.js";
import { survivedFailuresOf } from "../kernel/survived-failures.js";
import { markGrace, markIsCancellationOption, markLimited, markSupervising } from "../kernel/state.js";
import { Follower } from "../kernel/signal-follower.js";
import { Limit } from "../kernel/concurrency-limit.js";
import type { ScopeNode } from "../kernel/node.js";
import { liveDescendants } from "../kernel/tree.js";
import { optionNames, type OptionNames } from "../errors/option-names.js";
import {
  wrongType,
  checkType,
  checkDuration,
  checkLimit,
  checkInstant,
  checkOptionsObject,
} from "../errors/validate.js";
import type { OrphanPolicy } from "../kernel/diagnostics.js";

/** The options of {@link spawn}. */
export interface TaskOptions {
  /** The name of the task. Default: the name of the worker function, or `"anonymous"`. */
  readonly name?: string | undefined;
  /** A foreign signal. When it aborts, the task is cancelled with kind `"signal"`. Default: none. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Milliseconds from the call, including the time in a queue. A task that exceeds it has failed with a
   * `DeadlineExceededError`. 0 cancels the task at birth. Default: no limit.
   */
  readonly timeout?: number | undefined;
  /** An instant, as a `Date` or in milliseconds since the epoch. Has the effect of {@link timeout}. Default: none. */
  readonly deadline?: number | Date | undefined;
  /** Whether the task is cancelled when all other work of its scope has ended. Default `false`. */
  readonly daemon?: boolean | undefined;
  /** Whether the task goes on when one of its children fails. Default `false`: the first failure cancels the task. */
  readonly supervise?: boolean | undefined;
  /** How many direct child tasks of this task run at once; the others wait in spawn order. Default: no limit. */
  readonly concurrency?: number | undefined;
  /**
   * Milliseconds that this task and everything below it get after a cancellation. After that, tasks that have not
   * settled are reported as stuck. Default: that of the nearest scope above that has one.
   */
  readonly grace?: number | undefined;
  /**
   * Receives the failures below the task that have no other receiver. Receives the task's own failure if its scope does
   * not (a supervising scope, the background). Default: the nearest `onError` above, otherwise a failure is an unhandled
   * rejection.
   */
  readonly onError?: ((error: unknown, task: TaskInfo) => void) | undefined;
  /** Says which further errors are cancellations, in the task and below; as in {@link ScopeOptions}. Default: none. */
  readonly isCancellation?: ((error: unknown, reason: CancelledError) => boolean) | undefined;
}

/** The options of `createScope` and `withScope`. */
export interface ScopeOptions {
  /** Default: the name of the body function, or `"anonymous"`. */
  readonly name?: string | undefined;
  /** A foreign signal that cancels this scope too, with kind `"signal"`. Default: none. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Milliseconds from now. With 0 the scope starts cancelled. The effective deadline is the earliest on the way to the
   * root. Default: none.
   */
  readonly timeout?: number | undefined;
  /** An instant, in milliseconds since the epoch. Default: none. */
  readonly deadline?: number | Date | undefined;
  /** A failing child does not cancel this scope. Default `false`: the first failure does. */
  readonly supervise?: boolean | undefined;
  /** How many direct child tasks run at once; the others wait in spawn order. Default: no limit. */
  readonly concurrency?: number | undefined;
  /** Milliseconds that cancelled children get before they are reported as stuck. Default: no limit. */
  readonly grace?: number | undefined;
  /**
   * Receives the failures of this scope and of those below that have no other receiver. Default: the nearest
   * `onError` above; without one, each is an unhandled rejection.
   */
  readonly onError?: ((error: unknown, task: TaskInfo) => void) | undefined;
  /**
   * Whether a rejection of this scope or one below, after it was cancelled with `reason`, results from that
   * cancellation. Use it for clients whose abort errors bough does not recognise. Called from the scope upwards until
   * one returns `true`. If it throws or does not return a boolean, this is a failure. Default: only the abort errors
   * that bough recognises.
   */
  readonly isCancellation?: ((error: unknown, reason: CancelledError) => boolean) | undefined;
  /** What to do when the handle is collected before the scope was closed. Default: a process warning. */
  readonly onOrphan?: OrphanPolicy | undefined;
  /**
   * Whether the timers of the scope and of everything below it (`sleep`, `ticker`, deadlines, delays) keep the process
   * alive. With `false` a program that has no other work may end, like a Go program with running goroutines. It does
   * not end while a `join`, a `close`, or a promise or stream that a method of the handle returned is pending.
   *
   * Default of `createScope`: `true`, or with a parent the value of the parent. Default of `selfCleaning`: only while
   * the object is held. When only such scopes keep the process alive, dropped objects are collected.
   */
  readonly holdsProcess?: boolean | undefined;
}

export const withScopeNames = {
  name: true,
  signal: true,
  timeout: true,
  deadline: true,
  supervise: true,
  concurrency: true,
  grace: true,
  onError: true,
  isCancellation: true,
} as const;

/** For {@link optionNames} of a function whose options extend {@link TaskOptions}. */
export const taskNames: { readonly [K in keyof Required<TaskOptions>]: true } = {
  ...withScopeNames,
  daemon: true,
};

const taskOptionNames: OptionNames = /* @__PURE__ */ optionNames<TaskOptions>(
  taskNames,
  (name) => isWithScopeOption(name) || name === "daemon",
);

/** The options of `withScope`: it has no handle that could be dropped. */
export const withScopeOptionNames: OptionNames = /* @__PURE__ */ optionNames<
  Omit<ScopeOptions, "onOrphan" | "holdsProcess">
>(withScopeNames, isWithScopeOption);

// By `switch`, which takes a third of the time of a look-up: each `spawn` with options pays it.

export function isWithScopeOption(name: string): boolean {
  switch (name as keyof typeof withScopeNames) {
    case "name":
    case "signal":
    case "timeout":
    case "deadline":
    case "supervise":
    case "concurrency":
    case "grace":
    case "onError":
    case "isCancellation":
      return true;
    default:
      return false;
  }
}

/**
 * Checks the options that `spawn`, `withScope` and `createScope` have in common, before anything is started.
 *
 * @param names - The options that the function has.
 */
export function checkOptions(
  operation: string,
  options: Omit<TaskOptions, "daemon"> | undefined,
  names: OptionNames,
): void {
  checkOptionsObject(operation, options, names);
  checkType(operation, "name", "string", options.name);
  checkType(operation, "supervise", "boolean", options.supervise);
  checkDuration(operation, "timeout", options.timeout);
  checkInstant(operation, "deadline", options.deadline);
  checkLimit(operation, "concurrency", options.concurrency, 1);
  checkSignal(operation, options.signal);
  checkDuration(operation, "grace", options.grace);
  checkType(operation, "onError", "function", options.onError);
  checkType(operation, "isCancellation", "function", options.isCancellation);
}

/** As {@link checkOptions}, for a function that starts a task. */
export function checkTaskOptions(
  operation: string,
  options: TaskOptions,
  names: OptionNames = taskOptionNames,
): void {
  checkOptions(operation, options, names);
  checkType(operation, "daemon", "boolean", options.daemon);
}

/** Applies checked options to a new node, which is linked already. The node may be cancelled afterwards. */
export function applyOptions(node: ScopeNode, options: ScopeOptions & TaskOptions): void {
  if (options.supervise === true) {
    markSupervising(node);
    survivedFailuresOf(node);
  }
  if (options.concurrency !== undefined && options.concurrency !== Infinity) {
    markLimited(node);
    node.ensureSettings().limit = new Limit(options.concurrency);
  }
  if (options.grace !== undefined && options.grace !== Infinity) {
    markGrace(node);
    node.ensureSettings().grace = options.grace;
  }
  if (options.onError !== undefined) node.ensureSettings().onError = options.onError;
  if (options.isCancellation !== undefined) setIsCancellation(node, options.isCancellation);
  if (options.signal !== undefined && !node.cancelled) Follower.follow(node, options.signal);
  const { timeout = Infinity, deadline = Infinity } = options;
  if (Math.min(timeout, Number(deadline)) !== Infinity && !node.cancelled)
    setDeadline(node, timeout, Number(deadline));
}

/** Sets the option `isCancellation`, unless the node has one. */
export function setIsCancellation(
  node: ScopeNode,
  isCancellation: NonNullable<ScopeOptions["isCancellation"]>,
): void {
  markIsCancellationOption(node);
  for (const below of liveDescendants(node)) markIsCancellationOption(below); // a server's scope may have requests already
  node.ensureSettings().isCancellation ??= isCancellation;
}

function checkSignal(operation: string, value: unknown): void {
  if (value === undefined) return;
  // By its shape: polyfills and other realms have other AbortSignal classes.
  if (isObject(value) && "aborted" in value && "addEventListener" in value) return;
  throw wrongType(operation, "signal must be an AbortSignal", value);
}
