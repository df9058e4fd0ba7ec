// Taken when the module is loaded: a test's fake timers must not stop the check that runs after it.
const { setTimeout: realSetTimeout, setImmediate: realSetImmediate, performance } = globalThis;

/** Milliseconds, by a clock that fake timers don't reach. */
export const now: () => number = performance.now.bind(performance);

export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => realSetTimeout(resolve, ms));
}

/** One turn of the event loop, in which closed handles and finalizers have their callbacks. */
export function turn(): Promise<void> {
  return new Promise((resolve) => realSetImmediate(resolve));
}
