import type { WaitingFor } from "../errors/scope-errors.js";
import { forgetSettlers, lastSettlers, makePromise, throwOverflow } from "./promise-settlers.js";
import { isBun } from "./platform.js";

/** Receives the outcome of a node, once, when the node settles. */
export interface Observer {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** Whether the outcome has a receiver: then a failure is handled. Default: yes. */
  readonly isReceiver?: () => boolean;
  /** The promise that the observer settles, if a caller may await one. */
  readonly promise?: Promise<unknown>;
  /** The name of the body in reports while it runs. Absent: `body`, or `worker` for a task. */
  readonly bodyKind?: WaitingFor;
  /** Whether the body of the parent usually waits for the outcome. Absent: yes. */
  readonly isAwaited?: boolean;
  /** Whether the node is a member of a combinator. Absent: no. */
  readonly isMember?: boolean;
  /** For the errors of operations in the scope when it has ended; see `closedError`. Default: none. */
  readonly closedHint?: string;
  /** Called if an exception inside the runtime interrupted `resolve` or `reject`. Default: these are called again. */
  readonly interrupted?: (error: unknown) => void;
}

/** An observer that settles a promise: of a task, of a `withScope`. */
export interface PromiseObserver<T> extends Observer {
  readonly promise: Promise<T>;
}

export function ignore(): void {}

/** `Promise.withResolvers`, which Node 20 does not have. */
export function withResolvers<T>(): PromiseObserver<T> {
  if (isBun) {
    const promise = makePromise<T>();
    const { resolve, reject } = lastSettlers;
    forgetSettlers(); // they hold the promise, and with it its value
    return { promise, resolve, reject };
  }
  let resolve!: (value: unknown) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((res, rej) => {
    resolve = res as (value: unknown) => void;
    reject = rej;
  });
  if ((reject as unknown) === undefined) throwOverflow(promise);
  return { promise, resolve, reject };
}
