import { isObject } from "./user-values.js";
import { BoughError } from "./bough-error.js";
import { cancelledBrand } from "./brands.js";
import type { BoughErrorCode } from "./codes.js";
import { quotePath } from "./describe.js";
import { detached } from "./detach-stack.js";

/** Why a scope was cancelled. `docs/reference/cancel-kinds.md` shows what raises each kind. */
export type CancelKind =
  /** `scope.cancel(cause)` or `task.cancel(cause)` was called. The argument is the `cause` of the reason. */
  | "explicit"
  /** A `timeout` or a `deadline` has passed. The reason is a `DeadlineExceededError`. */
  | "deadline"
  /** The body, a child, a cleanup or an `onCancel` callback has failed. The failure is the `cause` of the reason. */
  | "failure"
  /** The `AbortSignal` that was given as the option `signal` has aborted. The reason of that signal is the `cause`. */
  | "signal"
  /** One of these causes, which are not errors:
   *
   * - `close({ cause })` was called, or an `await using` block was left. The option is the `cause` of the reason.
   * - The scope has ended, for its daemons and its open iterations.
   * - A `race` or `any` was decided, for the losers.
   * - A `stream` or `events` iteration was left.
   * - The last caller of a `SingleFlight` call has left, for its worker.
   * - A response has ended, for the tasks that still run in the scope of the request.
   * - The `build` function of `selfCleaning` threw. The error is the `cause`.
   */
  | "closed"
  /** The owner handle of the open scope was garbage collected. */
  | "orphaned"
  /**
   * One of these:
   *
   * - The client of a request went away before the response had ended.
   * - The lease of the owner of a remote job has ended, or the worker could not renew its own. The `cause` says which.
   */
  | "disconnected"
  /**
   * One of these:
   *
   * - `main` received a signal, or stdout or stderr was closed. The `cause` is the name, such as `"SIGTERM"`.
   * - The grace period of a server's shutdown has ended, or the server was closed by other means.
   */
  | "shutdown";

/** Notes when `reason` cancelled its first scope. */
export let stampReason: (reason: CancelledError, at: number) => void;
/** Notes where `cancel()` was called. */
export let setCancelSite: (reason: CancelledError, site: string) => void;

/**
 * The reason of a cancellation: the value of `scope.reason` and `scope.signal.reason`, and the rejection of everything that
 * waits in the scope. Its `name` is `"AbortError"`, as with the platform's cancellations.
 *
 * It carries strings only, never a scope, so that an error kept in a log keeps no tree alive. It has a stack trace,
 * of the `cancel()` call, only while tracing is on (`BOUGH_TRACE=1`): a cancellation is not an error, and has to be cheap.
 *
 * @example
 * ```ts
 * const scope = createScope({ name: "jobs" });
 * scope.cancel("enough");
 * console.log(scope.reason?.kind, scope.reason?.scope, scope.reason?.cause); // explicit jobs enough
 * ```
 */
export class CancelledError extends BoughError {
  /** The kind of the cancellation, to switch on. */
  readonly kind: CancelKind;
  /** The path of the scope on which the cancellation began. */
  readonly scope: string;
  /** Private, so that a deep comparison in a test ignores it. */
  #at: number | undefined;
  #by: string | undefined;

  constructor(
    kind: CancelKind,
    scope: string,
    message: string,
    options?: ErrorOptions,
    code: BoughErrorCode = "BOUGH_CANCELLED",
  ) {
    super(code, message, options);
    this.kind = kind;
    this.scope = scope;
  }

  /** When it cancelled a scope, in milliseconds since the epoch; `undefined` as long as it has not. */
  get at(): number | undefined {
    return this.#at;
  }

  /** Where `cancel()` or `close()` was called; recorded only while tracing is on (`BOUGH_TRACE=1`). */
  get by(): string | undefined {
    return this.#by;
  }

  static {
    stampReason = (reason, at) => {
      if (#at in reason) reason.#at = at; // a reason of another copy of the package has private fields of that copy
    };
    setCancelSite = (reason, site) => {
      reason.#by = site;
    };
    this.prototype.name = "AbortError";
    Object.defineProperty(this.prototype, cancelledBrand, { value: true });
  }
}

/**
 * The reason of kind `"deadline"`: a timeout or a deadline passed. Its `name` is `"TimeoutError"`.
 *
 * The message is the same for the same timeout, so that logs can be grouped by it; where and when is in the fields.
 *
 * @example
 * ```ts
 * const scope = createScope({ name: "jobs", timeout: 0 });
 * const { reason } = scope;
 * if (reason instanceof DeadlineExceededError) {
 *   console.log(reason.message, reason.timeout, reason.scope); // timed out after 0 ms 0 jobs
 * }
 * ```
 */
export class DeadlineExceededError extends CancelledError {
  /** The duration in milliseconds, as it was given; `undefined` where the deadline was given as a date. */
  readonly timeout: number | undefined;
  /** The instant that passed, in milliseconds since the epoch. */
  readonly deadline: number;

  constructor(scope: string, deadline: number, timeout?: number) {
    const message = timeout === undefined ? "the deadline has passed" : `timed out after ${timeout} ms`;
    super("deadline", scope, message, undefined, "BOUGH_DEADLINE_EXCEEDED");
    this.timeout = timeout;
    this.deadline = deadline;
  }

  static {
    this.prototype.name = "TimeoutError";
  }
}

/** Whether `error` is a cancellation by bough, of any scope and from any copy of the package. */
export function isCancelled(error: unknown): error is CancelledError {
  try {
    return isObject(error) && cancelledBrand in error;
  } catch {
    return false; // a proxy with a trap that throws
  }
}

/**
 * Makes a reason, without a stack trace unless it is `traced`. A trace costs microseconds, and milliseconds with source
 * maps. A stack that was captured but not read keeps every receiver on it alive, possibly an owner handle (see
 * `docs/orphans.md`).
 */
export function createReason(
  kind: Exclude<CancelKind, "deadline">,
  scope: string,
  cause?: unknown,
  traced = false,
): CancelledError {
  const make = (): CancelledError => {
    const options = cause === undefined ? undefined : { cause };
    return new CancelledError(kind, scope, `Scope ${quotePath(scope)} was cancelled (${kind})`, options);
  };
  return traced ? detached(make()) : withoutStack(make, detached);
}

/** As {@link createReason}, for a deadline. */
export function createDeadlineReason(
  scope: string,
  deadline: number,
  timeout?: number,
): DeadlineExceededError {
  return withoutStack(() => new DeadlineExceededError(scope, deadline, timeout), detached);
}

/**
 * Calls `make`. The errors that it creates, or throws, capture no stack trace.
 *
 * @param orElse - Called with the result where they can't be kept from that.
 */
export function withoutStack<T>(make: () => T, orElse: (made: T) => T): T {
  let limit: number;
  try {
    limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0; // an assignment: `Reflect.set` would double the time that this function takes
  } catch {
    return orElse(make()); // read-only under `--frozen-intrinsics` and in hardened realms; an accessor that throws
  }
  try {
    return make();
  } finally {
    Error.stackTraceLimit = limit;
  }
}
