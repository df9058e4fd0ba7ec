/**
 * What has made a scope that is not a task: the function of that name; the HTTP server or request it belongs to; or
 * `retry` or `supervise`, one attempt of theirs.
 */
export type ScopeKind =
  | "createScope"
  | "selfCleaning"
  | "withScope"
  | "shield"
  | "start"
  | "all"
  | "allSettled"
  | "any"
  | "race"
  | "map"
  | "stream"
  | "retry"
  | "attempt"
  | "events"
  | "iterate"
  | "effectionScope"
  | "server"
  | "request";
