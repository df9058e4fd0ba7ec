import { flush } from "./deferred.js";

/** Calls `run` again and again until the event loop has turned `count` times. Returns how often it has turned. */
export async function turnsWhile(run: () => Promise<unknown>, count = 3): Promise<number> {
  let turns = 0;
  setImmediate(function next() {
    if (++turns < count) setImmediate(next);
  });
  for (let calls = 0; turns < count && calls < 100_000; calls++) await run().catch(() => undefined);
  return turns;
}

/** Turns the event loop until `isDone` returns true. Gives up after `count` turns, so that a test fails quickly without a clock. */
export async function turnUntil(isDone: () => boolean, count = 1_000): Promise<void> {
  for (let turn = 0; turn < count && !isDone(); turn++) await flush();
}

/** As `await promise`, but fails quickly if the promise has not settled after many turns. */
export async function soon<T>(promise: Promise<T>): Promise<T> {
  let isSettled = false;
  const settle = (): void => void (isSettled = true);
  promise.then(settle, settle);
  await turnUntil(() => isSettled);
  if (!isSettled) throw new Error("the promise has not settled");
  return promise;
}
