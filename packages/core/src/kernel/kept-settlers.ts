// Promises with their settlers, all made by one executor: with a closure for each, a request costs Bun a twentieth more. V8
// does not mind the closures.

type Settler = (value: unknown) => void;
type Executor<T> = (resolve: (value: T) => void, reject: Settler) => void;

/** The settlers of the promise that {@link makePromise} has made last. */
export const kept: { resolve: Settler; reject: Settler } = { resolve: none, reject: none };

/** The engine's message. A promise constructor whose function had no room on the stack rejects with it instead of throwing. */
export const overflow = "Maximum call stack size exceeded";

/** Makes a promise whose settlers are in {@link kept} until the next one is made. */
export function makePromise<T>(): Promise<T> {
  kept.reject = none;
  const promise = new Promise<T>(keep as Executor<T>);
  if (kept.reject === none) failToKeep(promise);
  return promise;
}

function keep(resolve: Settler, reject: Settler): void {
  kept.resolve = resolve;
  kept.reject = reject;
}

/** @throws {RangeError} As the constructor should have. */
export function failToKeep(promise: Promise<unknown>): never {
  promise.then(undefined, none);
  throw new RangeError(overflow);
}

function none(): void {}
