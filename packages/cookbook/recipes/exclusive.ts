import { createSemaphore, withScope, type Scope } from "bough";

/** Returns a function that runs one body at a time, in the order of the calls. */
export function createExclusive(): <T>(scope: Scope, body: (own: Scope) => Promise<T>) => Promise<T> {
  const permit = createSemaphore(1);
  return (scope, body) =>
    withScope(scope, { name: "exclusive" }, async (own) => {
      own.use(await permit.acquire(own)); // released when `own` ends, for whatever reason
      return await body(own);
    });
}
