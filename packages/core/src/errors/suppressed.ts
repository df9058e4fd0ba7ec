import { isObject } from "./user-values.js";

/** The record of an error that a scope has rejected with; see `kernel/suppressed-failures.ts`. A later rejection with the same error replaces it. */
export interface Rejection {
  /** The later failures of that scope, and of the scopes inside it that rejected with the same error. */
  readonly later: Set<unknown>;
}

/** Weak, so that a list lives as long as the error it belongs to. One entry per error object, however often it is thrown. */
const rejections = new WeakMap<object, Rejection>();

/**
 * Returns the failures that came after `error` in the scope that rejected with it, in the order they happened.
 *
 * A scope rejects with its first failure, unwrapped; `suppressed` has the others. They accumulate from scope to scope: when
 * a scope fails because a scope inside it has rejected with the same object, the list is extended. When a scope rejects
 * with the object for another reason (a constant, a cached rejection), a new list begins: only the last rejection counts.
 * For a primitive (`throw "x"`) the list is always empty, since nothing can be attached to a primitive; read
 * `scope.errors` there.
 *
 * @param error - The error that a scope rejected with.
 * @returns The later failures. Empty if there were none.
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

/** Replaces the record of `error`. */
export function setRejection(error: object, rejection: Rejection): void {
  rejections.set(error, rejection);
}
