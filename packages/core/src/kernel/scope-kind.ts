/**
 * The function that has made a scope that is not a task: the function of that name; the HTTP server or request it
 * belongs to; `retry` or `supervise`, one attempt of theirs; or a call of `do` of a `SingleFlight`.
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
