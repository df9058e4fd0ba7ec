import { sleep, type Scope } from "bough";

/** Returns a function that lets at most `count` callers pass per `ms` milliseconds, in order and evenly spaced. */
export function createRateLimit(count: number, ms: number): (scope: Scope) => Promise<void> {
  let free = 0; // the time at which the next caller may pass
  return async (scope) => {
    const now = performance.now();
    const mine = Math.max(now, free);
    free = mine + ms / count;
    await sleep(scope, mine - now);
  };
}

// const limit = createRateLimit(10, 1_000);
// await limit(scope), then call the API
