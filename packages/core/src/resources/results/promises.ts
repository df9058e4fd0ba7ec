import { detached } from "../../errors/detach-stack.js";
import type { Lease } from "./lease.js";

/**
 * Keeps the handle alive until `promise` is settled: code that can settle it reaches its reactions, and `convert` must
 * reference a lease.
 */
export function holdUntilSettled(
  lease: Lease,
  promise: PromiseLike<unknown>,
  convert: (value: unknown) => unknown,
  failed?: () => void,
): Promise<unknown> {
  const { process } = lease;
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

/** Returns the caller's promise for a promise of the inner object. */
export function promiseForCaller(
  lease: Lease,
  promise: Promise<unknown>,
  args: readonly unknown[],
): Promise<unknown> {
  const { promises } = lease.results;
  const known = promises.get(promise);
  if (known !== undefined) return known as Promise<unknown>;
  const passed = holdUntilSettled(lease, promise, (value) => {
    const converted = lease.convert(lease, value, args);
    // The inner object may keep its promise, which must not lead to the handle.
    if (converted !== value) promises.delete(promise);
    return converted;
  });
  promises.set(promise, passed);
  return passed;
}
