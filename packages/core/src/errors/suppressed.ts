/** Weak, so that the list lives as long as the error it belongs to. */
const later = new WeakMap<object, Set<unknown>>();

/**
 * The failures that came after `error` in the scopes that rejected with it, in the order they happened.
 *
 * A scope rejects with its first failure itself, unwrapped; this is where the others are. It accumulates over
 * every scope that rejected with the same object. For a primitive (`throw "x"`) it is always empty: nothing
 * can be attached to one; read `scope.errors` there.
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
  const list = isObject(error) ? later.get(error) : undefined;
  return list === undefined ? [] : [...list];
}

/** Whether later failures can be attached to `error`. */
export function isObject(error: unknown): error is object {
  return (typeof error === "object" && error !== null) || typeof error === "function";
}

/** Attaches the failures after the first to the first; a no-op for a primitive. */
export function suppressLater(errors: Iterable<unknown>): void {
  const [first, ...rest] = errors;
  if (rest.length === 0 || !isObject(first)) return;
  const list = later.get(first) ?? new Set();
  for (const error of rest) if (error !== first) list.add(error);
  later.set(first, list);
}
