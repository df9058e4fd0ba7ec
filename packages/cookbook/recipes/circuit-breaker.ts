import { isCancelled, withScope, type Scope } from "bough";
import { circuitBreaker, ConsecutiveBreaker, handleWhen } from "cockatiel";

// A timeout is the service's fault. Any other cancellation comes from the caller.
const isTheirFault = (error: unknown): boolean => !isCancelled(error) || error.kind === "deadline";

const breaker = circuitBreaker(handleWhen(isTheirFault), {
  halfOpenAfter: 10_000,
  breaker: new ConsecutiveBreaker(5),
});

/** Calls `url`. After five consecutive failures it rejects immediately for ten seconds. */
export function call(scope: Scope, url: string): Promise<Response> {
  return withScope(scope, { name: "call", timeout: 2_000 }, ({ signal }) =>
    breaker.execute(() => fetch(url, { signal })),
  );
}
