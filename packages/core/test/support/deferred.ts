/** A promise that a test settles by hand. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

export function deferred<T = void>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((res, rej) => {
    resolve = res;
    reject = rej;
  });
  return { promise, resolve, reject };
}

// Before any test fakes them.
const realImmediate = setImmediate;

/** Lets everything run that needs no timer: all microtasks, `process.nextTick`, and a turn of the event loop. */
export function flush(): Promise<void> {
  return new Promise((resolve) => realImmediate(resolve));
}

/** The state of a promise once everything that needs no timer has run. Marks its rejection as handled. */
export async function outcomeOf(promise: PromiseLike<unknown>): Promise<"pending" | "resolved" | "rejected"> {
  let outcome: "pending" | "resolved" | "rejected" = "pending";
  promise.then(
    () => (outcome = "resolved"),
    () => (outcome = "rejected"),
  );
  await flush();
  return outcome;
}

/** The error with which `promise` rejects. Fails the test if it does not reject. */
export async function rejection(promise: PromiseLike<unknown>): Promise<unknown> {
  let value: unknown;
  try {
    value = await promise;
  } catch (error) {
    return error;
  }
  throw new Error(`expected a rejection, got the value ${String(value)}`);
}

/** The error that `action` throws. Fails the test if it does not throw. */
export function thrown(action: () => unknown): unknown {
  let value: unknown;
  try {
    value = action();
  } catch (error) {
    return error;
  }
  throw new Error(`expected a throw, got the value ${String(value)}`);
}
