import type { WaitingFor } from "../errors/scope-errors.js";

/** Who hears how a node has ended: called once, when it settles. */
export interface Observer {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** Whether anybody hears of the outcome. Absent: yes. */
  readonly heard?: () => boolean;
  /** The promise that it settles, if it has one that anybody may await. */
  readonly promise?: Promise<unknown>;
  /** What of the node has not finished while its body has not. Absent: its body. */
  readonly bodyIs?: WaitingFor;
  /** Whether the body of the parent waits for the outcome, as a rule. Absent: yes. */
  readonly isAwaited?: boolean;
  /** Called instead, if an exception inside the runtime interrupted `resolve` or `reject`. Absent: they can be repeated. */
  readonly interrupted?: (error: unknown) => void;
}

/** One that gives what it hears to whoever has got its promise: of a task, or of a `withScope`. */
export interface Promised<T> extends Observer {
  readonly promise: Promise<T>;
}

/** The stack had no room for the function that a new promise calls; the promise has been rejected with that. */
export const overflow = "Maximum call stack size exceeded";

export function ignore(): void {}

/** `Promise.withResolvers`, which Node 20 does not have. */
export function createPromised<T>(): Promised<T> {
  let resolve!: (value: unknown) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((res, rej) => {
    resolve = res as (value: unknown) => void;
    reject = rej;
  });
  if ((reject as unknown) === undefined) {
    promise.then(undefined, ignore);
    throw new RangeError(overflow);
  }
  return { promise, resolve, reject };
}
