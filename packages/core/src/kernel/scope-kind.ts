/**
 * The origin of a scope that is not a task: the function of that name, an HTTP server or request, one attempt of
 * `retry` or `supervise`, or a call of `do` of a `SingleFlight`.
 */
export type ScopeKind =
  | "createScope"
  | "selfCleaning"
  | "withScope"
  | "shield"
  | "moveOnAfter"
  | "cancellable"
  | "start"
  | "all"
  | "allSettled"
  | "any"
  | "race"
  | "map"
  | "stream"
  | "retry"
  | "attempt"
  | "singleFlight"
  | "events"
  | "iterate"
  | "effectionScope"
  | "server"
  | "request";
