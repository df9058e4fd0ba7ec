import type { CancelledError } from "../errors/cancelled.js";
import type { TaskInfo, WaitingFor } from "../errors/scope-errors.js";
import type { ContextKey } from "./context.js";
import type { Deadline } from "./deadline.js";
import type { Defer } from "./defers.js";
import type { Follower } from "./signal-follower.js";
import type { Limit } from "./concurrency-limit.js";
import type { ScopeNode } from "./node.js";
import type { ScopeKind } from "./scope-kind.js";
import type { LongTimer } from "./long-timer.js";
import type { Waiter } from "./wait.js";

/** What most nodes never have. Kept apart so that a plain task stays small; made on first need. */
export class Rare {
  controller: AbortController | undefined = undefined;
  defers: Defer | undefined = undefined;
  /** The cleanup that is running. */
  cleaning: Defer | undefined = undefined;
  /** Each failure once, with the node in which it happened. */
  errors: Map<unknown, ScopeNode> | undefined = undefined;
  context: Map<ContextKey<unknown>, unknown> | undefined = undefined;
  /** Live children that are no daemons; counted only once there are daemons (HAS_DAEMONS). */
  others = 0;
  path: string | undefined = undefined;
  /** Where it was spawned or created; only while tracing is on. */
  site: string | undefined = undefined;
  settings: Settings | undefined = undefined;
  /** Only of a scope that a diagnostics channel has told of. */
  kind: ScopeKind | undefined = undefined;
  /** What its body is, where that is no function of the user's. */
  bodyIs: WaitingFor | undefined = undefined;
}

/** What comes with options and with an owner handle. */
export class Settings {
  /** Its own; only set where it is earlier than every ancestor's. */
  deadline: Deadline | undefined = undefined;
  deadlineTimer: LongTimer | undefined = undefined;
  /** Own grace period in ms. */
  grace: number | undefined = undefined;
  graceTimer: LongTimer | undefined = undefined;
  limit: Limit | undefined = undefined;
  follower: Follower | undefined = undefined;
  onError: ((error: unknown, task: TaskInfo) => void) | undefined = undefined;
  isCancellation: ((error: unknown, reason: CancelledError) => boolean) | undefined = undefined;
  /** Failures that are to be suppressed in what the scope rejects with, and are none of its own. */
  earlier: Set<unknown> | undefined = undefined;
  waiters: Set<Waiter> | undefined = undefined;
  /** Somebody holds the handle's disposal method, as `await using` does: a failure waits for the disposal. */
  disposalExpected = false;
}
