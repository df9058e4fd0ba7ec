import { createSingleFlight, type Scope } from "bough";

/** Loads users, one request for all callers that want the same user at the same time. */
export function createUsers(
  server: Scope,
  load: (id: number, signal: AbortSignal) => Promise<string>,
): (request: Scope, id: number) => Promise<string> {
  const flights = createSingleFlight<number, string>(server);
  return (request, id) => flights.do(request, id, ({ signal }) => load(id, signal));
}
