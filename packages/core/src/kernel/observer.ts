/** Who hears how a node has ended: called once, when it settles. */
export interface Observer {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** Whether anybody hears of the outcome. Absent: yes. */
  readonly heard?: () => boolean;
}

/** One that gives what it hears to whoever has got its promise: of a task, or of a `withScope`. */
export interface Promised extends Observer {
  readonly promise: Promise<unknown>;
}

/** `Promise.withResolvers`, which Node 20 does not have. */
export function createPromised(): Promised {
  let resolve!: (value: unknown) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<unknown>((res, rej) => {
    resolve = res;
    reject = rej;
  });
  return { promise, resolve, reject };
}
