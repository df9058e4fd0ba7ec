import { isCancelled, withScope, type Scope } from "bough";
import { circuitBreaker, ConsecutiveBreaker, handleWhen } from "cockatiel";

// A caller that gave up says nothing about the other side. One that waited too long does.
const isTheirFault = (error: unknown): boolean => !isCancelled(error) || error.kind === "deadline";

const breaker = circuitBreaker(handleWhen(isTheirFault), {
  halfOpenAfter: 10_000,
  breaker: new ConsecutiveBreaker(5),
});

/** Calls `url`, unless five calls in a row have failed: then it rejects at once, for ten seconds. */
export function call(scope: Scope, url: string): Promise<Response> {
  return withScope(scope, { name: "call", timeout: 2_000 }, ({ signal }) =>
    breaker.execute(() => fetch(url, { signal })),
  );
}
