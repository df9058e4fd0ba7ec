/**
 * The origin of a scope that is not a task. Most values are names of functions. `server` and `request` are of HTTP,
 * `attempt` is one run of `retry` or `supervise`, and `singleFlight` is one call of `do`.
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
