// Promises whose settlers (`resolve` and `reject`) are stored by one shared executor. With a closure for each promise,
// a request takes Bun a twentieth longer. In V8 the closures cost nothing, and the shared object would: it is old, and a
// pointer from an old object to a young one makes each collection of the young objects wake another thread.

type Settler = (value: unknown) => void;
type Executor<T> = (resolve: (value: T) => void, reject: Settler) => void;

/** The settlers of the latest promise of {@link makePromise}, until {@link forgetSettlers}. */
export const lastSettlers: { resolve: Settler; reject: Settler } = { resolve: none, reject: none };

/**
 * The engine's message. A promise constructor rejects with it, instead of throwing, if there was no room on the stack
 * for its function.
 */
export const overflow = "Maximum call stack size exceeded";

/** Creates a promise. Its settlers are in {@link lastSettlers}. */
export function makePromise<T>(): Promise<T> {
  const promise = new Promise<T>(storeSettlers as Executor<T>);
  if (lastSettlers.reject === none) throwOverflow(promise);
  return promise;
}

export function forgetSettlers(): void {
  lastSettlers.resolve = lastSettlers.reject = none;
}

function storeSettlers(resolve: Settler, reject: Settler): void {
  lastSettlers.resolve = resolve;
  lastSettlers.reject = reject;
}

/** @throws {RangeError} As the constructor should have. */
export function throwOverflow(promise: Promise<unknown>): never {
  promise.then(undefined, none);
  throw new RangeError(overflow);
}

function none(): void {}
