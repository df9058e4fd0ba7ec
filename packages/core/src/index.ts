/**
 * Scopes and tasks, and the functions that wait, start, limit and retry in them. It runs in Node, Bun, Deno and
 * browsers.
 *
 * @module
 */
export { BoughError } from "./errors/bough-error.js";
export type { BoughErrorCode } from "./errors/codes.js";
export { MissingContextError } from "./errors/missing-context-error.js";
export { CancelledError, DeadlineExceededError, type CancelKind } from "./errors/cancelled.js";
export {
  ScopeClosedError,
  StuckTasksError,
  type TaskInfo,
  type TaskStatus,
  type WaitingFor,
} from "./errors/scope-errors.js";
export { suppressed } from "./errors/suppressed.js";
export type { ContextKey } from "./kernel/context-key.js";
export { createContextKey } from "./kernel/context-values.js";
export type { OrphanInfo, OrphanPolicy } from "./kernel/diagnostics.js";
export type { Scope, ScopeState } from "./kernel/scope.js";
export { background } from "./task/background.js";
export { createScope } from "./task/create-scope.js";
export type { CloseOptions } from "./task/close.js";
export type { ScopeHandle } from "./task/handle.js";
export { isCancelled } from "./task/is-cancelled.js";
export type { ScopeOptions, TaskOptions } from "./task/options.js";
export type { Routine } from "./task/routine.js";
export type { Worker } from "./task/worker.js";
export { spawn } from "./task/spawn.js";
export type { Task } from "./task/task.js";
export { withScope } from "./task/with-scope.js";
export { cancellable, type CancellableOptions } from "./flow/lifetime/cancellable.js";
export { detach, type DetachOptions } from "./flow/lifetime/detach.js";
export { start, type StartableWorker, type Started, type StartOptions } from "./flow/lifetime/start.js";
export { supervise, type SuperviseOptions } from "./flow/lifetime/supervise.js";
export { shield, type ShieldOptions } from "./flow/lifetime/shield.js";
export { all } from "./flow/combinators/all.js";
export { allSettled } from "./flow/combinators/all-settled.js";
export { any } from "./flow/combinators/any.js";
export type { CombinatorOptions } from "./flow/combinators/combinator-options.js";
export type { WorkerResult } from "./flow/combinators/group.js";
export { map, type ItemWorker, type MapOptions } from "./flow/combinators/map.js";
export { race } from "./flow/combinators/race.js";
export type { Source } from "./flow/combinators/source.js";
export { stream, type StreamOptions } from "./flow/combinators/stream.js";
export { ChannelClosedError, createChannel, type Channel, type Received } from "./flow/sync/channel.js";
export {
  select,
  sending,
  type SelectCase,
  type Selected,
  type SelectValue,
  type SendCase,
} from "./flow/sync/select.js";
export { createSemaphore, type Semaphore } from "./flow/sync/semaphore.js";
export { createSingleFlight, type SingleFlight } from "./flow/sync/single-flight.js";
export { checkpoint } from "./flow/time/checkpoint.js";
export { moveOnAfter, type MoveOnAfterOptions } from "./flow/time/move-on-after.js";
export { retry, type RetryOptions } from "./flow/time/retry.js";
export type { RetryDelay } from "./flow/time/retry-delay.js";
export { sleep } from "./flow/time/sleep.js";
export { ticker } from "./flow/time/ticker.js";
export { close, selfCleaning, type Buildable, type SelfCleaning } from "./resources/self-cleaning.js";
