/** What is known of an error since the last scope that rejected with it. */
export interface Rejection {
  /** The failures after the first, of that scope and of those that it took the error over from. */
  readonly later: Set<unknown>;
  /** Weak, as everything an error leads to: a logged error must not keep a tree alive. Made by `kernel/rejections.ts`. */
  readonly from: unknown;
}

/** Weak, so that a list lives as long as the error it belongs to. One entry per error object, however often it is thrown. */
const rejections = new WeakMap<object, Rejection>();

/**
 * The failures that came after `error` in the scope that rejected with it, in the order they happened.
 *
 * A scope rejects with its first failure itself, unwrapped; this is where the others are. On the way up they accumulate:
 * when a scope fails because one inside it has rejected with the same object, the list goes on. A scope that rejects with
 * an object for another reason (a constant, a cached rejection) begins a new list: only the last rejection counts. For a
 * primitive (`throw "x"`) it is always empty: nothing can be attached to one; read `scope.errors` there.
 *
 * @param error - What a scope rejected with.
 * @returns The later failures; empty if there were none.
 * @example
 * ```ts
 * const first = new Error("first");
 * const second = new Error("second");
 * const error = await withScope((scope) => {
 *   scope.defer(() => { throw second; });
 *   throw first;
 * }).catch((error: unknown) => error);
 * console.log(error === first, suppressed(error)[0] === second); // true true
 * ```
 */
export function suppressed(error: unknown): readonly unknown[] {
  const rejection = rejectionOf(error);
  return rejection === undefined ? [] : [...rejection.later];
}

export function rejectionOf(error: unknown): Rejection | undefined {
  return isObject(error) ? rejections.get(error) : undefined;
}

/** Replaces what is known of `error`. */
export function setRejection(error: object, rejection: Rejection): void {
  rejections.set(error, rejection);
}

/** Whether later failures can be attached to `error`. */
export function isObject(error: unknown): error is object {
  return (typeof error === "object" && error !== null) || typeof error === "function";
}
