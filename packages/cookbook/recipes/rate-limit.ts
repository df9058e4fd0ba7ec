import { sleep, type Scope } from "bough";

/** Makes a function that lets callers pass, in order, at most `count` of them in `ms` milliseconds, evenly spread. */
export function createRateLimit(count: number, ms: number): (scope: Scope) => Promise<void> {
  let free = 0; // when the next caller may pass
  return async (scope) => {
    const now = performance.now();
    const mine = Math.max(now, free);
    free = mine + ms / count;
    await sleep(scope, mine - now);
  };
}

// const limit = createRateLimit(10, 1_000);
// await limit(scope), then call the API
