/// <reference lib="esnext.disposable" preserve="true" />
import type { CancelledError } from "../errors/cancelled.js";
import type { ContextKey } from "./context-key.js";

/** The key under which Node looks for what `console.log` should print. */
export const inspectCustom: unique symbol = Symbol.for("nodejs.util.inspect.custom");

/**
 * Where a scope is in its life:
 *
 * ```text
 *            join(), or the body ended
 *     open ────────────────────────────► closing ──┐
 *      │                                    │      │ children settled, defers run
 *      │ cancel, deadline, failure, close() │      ▼
 *      └──────────────► cancelling ◄────────┘    closed
 *                            │                     ▲
 *                            └─────────────────────┘
 * ```
 *
 * | state      | accepts children         | `cancelled` | settles                                 |
 * | ---------- | ------------------------ | ----------- | --------------------------------------- |
 * | open       | yes                      | false       | no                                      |
 * | closing    | while a child is alive   | false       | when body, children and defers are done |
 * | cancelling | no: they start cancelled | true        | when body, children and defers are done |
 * | closed     | no                       | either      | it has                                  |
 */
export type ScopeState = "open" | "closing" | "cancelling" | "closed";

/**
 * The owner of a lifetime: a node of the tree. This is the view that workers and bodies get; the owner
 * handle, the only object whose collection matters, is a `ScopeHandle`.
 *
 * @example
 * ```ts
 * await withScope({ name: "request", timeout: 1_000 }, async (scope) => {
 *   console.log(scope.path, scope.state, scope.cancelled); // request open false
 *   scope.defer(() => console.log("cleaned up"));
 * });
 * ```
 */
export interface Scope {
  /** The option `name`, otherwise the name of the worker's function, otherwise `"anonymous"`. */
  readonly name: string;
  /** The names from the root, joined by `/`. */
  readonly path: string;
  /** Where this scope is in its life. */
  readonly state: ScopeState;
  /**
   * Aborts with {@link reason} when this scope is cancelled. Created on first read, then always the same
   * object: a scope whose signal is not read has none.
   */
  readonly signal: AbortSignal;
  /** Whether this scope was cancelled, by itself or with an ancestor. Stays true when it is closed. */
  readonly cancelled: boolean;
  /** Why it was cancelled. Every descendant cancelled by the same call has the same object. */
  readonly reason: CancelledError | undefined;
  /**
   * The earliest deadline on the way to the root, in milliseconds since the epoch. Measured on a monotonic clock: if
   * the system time changes, this value changes with it.
   */
  readonly deadline: number | undefined;
  /** Every failure of this scope, in the order they happened, each error object once. */
  readonly errors: readonly unknown[];

  /**
   * Asks this scope and everything below it to stop. Synchronous: when it returns, every descendant is
   * `cancelled`, every signal has fired, every `onCancel` callback has run. It does not wait for the work to
   * stop; `close()` does.
   *
   * @param cause - What `reason.cause` will hold.
   * @returns `true` for the call that cancelled it; `false` if it was cancelled or closed already.
   */
  cancel(cause?: unknown): boolean;

  /**
   * A cancellation point for code that does not wait. Reads the clock too, so that a busy loop, which no
   * timer can interrupt, sees its deadline.
   *
   * @throws {CancelledError} `reason`, if this scope is cancelled or its deadline has passed.
   */
  throwIfCancelled(): void;

  /**
   * Calls `callback` when this scope is cancelled, synchronously within `cancel()`; at once if it already is.
   * Cheaper than a listener on {@link signal}. A callback that throws does not keep the others from running;
   * an error that it throws is a failure of this scope.
   *
   * @returns A function that removes the callback, and returns whether that prevented the call.
   */
  onCancel(callback: (reason: CancelledError) => void): () => boolean;

  /**
   * Runs `cleanup` when the scope ends, however it ends: after the children have settled, last in first out,
   * each awaited before the next. It runs in the async context of this call. An error that it throws is a failure of
   * this scope, and keeps no other cleanup from running.
   *
   * @throws {ScopeClosedError} If this scope is closed.
   */
  defer(cleanup: () => unknown): void;

  /**
   * Defers the disposal of `resource` and returns it. Prefers `Symbol.asyncDispose` to `Symbol.dispose`.
   *
   * @throws {TypeError} If `resource` has neither.
   * @throws {ScopeClosedError} If this scope is closed; `resource` is then still the caller's to dispose.
   */
  use<R extends Disposable | AsyncDisposable>(resource: R): R;

  /**
   * The value that this scope or its nearest ancestor has for `key`, otherwise the key's default.
   *
   * @throws {MissingContextError} If there is neither.
   */
  get<T>(key: ContextKey<T>): T;

  /**
   * Sets the value for this scope and everything below it.
   *
   * @throws {ScopeClosedError} If this scope is closed.
   */
  set<T>(key: ContextKey<T>, value: NoInfer<T>): void;
}
