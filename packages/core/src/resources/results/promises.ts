import { detached } from "../../errors/detach-stack.js";
import { Mark } from "../../kernel/object-marks.js";
import type { HandleRef, Results } from "./handle-ref.js";

/**
 * Keeps the handle alive until `promise` is settled: code that can settle it reaches its reactions, and `convert` must
 * reference a reference.
 */
export function holdUntilSettled(
  ref: HandleRef,
  promise: PromiseLike<unknown>,
  convert: (value: unknown) => unknown,
  failed?: () => void,
): Promise<unknown> {
  const { process } = ref;
  process?.acquire();
  return promise.then(
    (value) => {
      process?.release();
      return convert(value);
    },
    (error: unknown) => {
      process?.release();
      failed?.();
      throw detached(error);
    },
  ) as Promise<unknown>;
}

/** The mark of a promise of the inner object. */
class PassedPromise {
  readonly results: Results;
  /** The caller's promise. Removed when its value was converted: the inner object may keep its promise, which must not lead to the handle. */
  promise: Promise<unknown> | undefined;

  constructor(results: Results, promise: Promise<unknown>) {
    this.results = results;
    this.promise = promise;
  }
}

/** Returns the caller's promise for a promise of the inner object. */
export function promiseForCaller(
  ref: HandleRef,
  promise: Promise<unknown>,
  args: readonly unknown[],
): Promise<unknown> {
  const { results } = ref;
  const mark = Mark.of(promise);
  const isOwn = mark instanceof PassedPromise && mark.results === results;
  const known = isOwn ? mark.promise : results.promises.get(promise);
  if (known !== undefined) return known;
  const passed = holdUntilSettled(ref, promise, (value) => {
    const converted = ref.convert(ref, value, args);
    if (converted !== value) forget(results, promise);
    return converted;
  });
  if (isOwn) mark.promise = passed;
  else if (mark === undefined && Object.isExtensible(promise))
    new Mark(promise, new PassedPromise(results, passed));
  else results.promises.set(promise, passed);
  return passed;
}

function forget(results: Results, promise: object): void {
  const mark = Mark.of(promise);
  if (mark instanceof PassedPromise && mark.results === results) mark.promise = undefined;
  else results.promises.delete(promise);
}
