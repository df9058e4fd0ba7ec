export { BoughError } from "./errors/bough-error.js";
export { CancelledError, DeadlineExceededError, isCancelled, type CancelKind } from "./errors/cancelled.js";
export {
  MissingContextError,
  ScopeClosedError,
  StuckTasksError,
  type TaskInfo,
  type TaskStatus,
} from "./errors/scope-errors.js";
export { suppressed } from "./errors/suppressed.js";
export { createContextKey, type ContextKey } from "./kernel/context.js";
export type { OrphanInfo, OrphanPolicy } from "./kernel/orphan-info.js";
export type { Scope, ScopeState } from "./kernel/scope.js";
export { background } from "./task/background.js";
export { createScope } from "./task/create-scope.js";
export type { CloseOptions, ScopeHandle } from "./task/handle.js";
export type { ScopeOptions, TaskOptions } from "./task/options.js";
export type { Routine, Worker } from "./task/run.js";
export { spawn } from "./task/spawn.js";
export type { Task } from "./task/task.js";
export { withScope } from "./task/with-scope.js";
export { sleep } from "./flow/sleep.js";
export { close, selfCleaning, type SelfCleaning } from "./resources/self-cleaning.js";
