import { select, type Scope } from "bough";

/** Waits for `promise` for at most `ms` milliseconds, or until `scope` is cancelled. */
export async function within<T>(scope: Scope, promise: Promise<T>, ms: number): Promise<T | undefined> {
  const first = await select(scope, { done: promise, late: ms });
  return first.key === "done" ? first.value : undefined;
}
