/** The promise of a task or of a `withScope`. A task's is made only once somebody asks for it. */
export interface Observer {
  readonly promise: Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** Whether anybody hears of the outcome. Absent: whoever has got the promise does. */
  readonly heard?: () => boolean;
}

/** `Promise.withResolvers`, which Node 20 does not have. */
export function createObserver(): Observer {
  let resolve!: (value: unknown) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<unknown>((res, rej) => {
    resolve = res;
    reject = rej;
  });
  return { promise, resolve, reject };
}
