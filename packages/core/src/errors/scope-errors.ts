import { BoughError } from "./bough-error.js";
import { detached } from "./detach-stack.js";
import { quotePath } from "./describe.js";

/** What reports say of one task. A plain object: it keeps nothing alive. */
export interface TaskInfo {
  readonly name: string;
  /** Names from the root, joined by `/`. */
  readonly path: string;
  readonly status: TaskStatus;
  /** Milliseconds since it was spawned. */
  readonly age: number;
  /** Where it was spawned; recorded only while tracing is on. */
  readonly spawnedAt?: string;
}

/** The life of a task: `queued` and `running` are alive, the others are final. */
export type TaskStatus = "queued" | "running" | "succeeded" | "failed" | "cancelled";

/**
 * Thrown by `spawn`, `defer`, `use`, `set`, `createScope(parent)` and `withScope(parent)` on a scope that has
 * ended. Nothing was started.
 */
export class ScopeClosedError extends BoughError {
  constructor(operation: string, path: string) {
    super("BOUGH_SCOPE_CLOSED", `${operation}: scope ${quotePath(path)} is closed`);
  }

  static {
    this.prototype.name = "ScopeClosedError";
  }
}

/** How many tasks the message of a {@link StuckTasksError} names; `tasks` has all of them. */
const NAMED_TASKS = 10;

/**
 * The grace period ran out: a scope was cancelled, and some of its tasks have still not settled. The scope
 * keeps waiting for them and settles when they do.
 */
export class StuckTasksError extends BoughError {
  /** The tasks that are still alive, outermost first. */
  readonly tasks: readonly TaskInfo[];

  constructor(path: string, grace: number, tasks: readonly TaskInfo[]) {
    const named = tasks
      .slice(0, NAMED_TASKS)
      .map((task) => `\n  ${task.path} (${task.status}, ${task.age} ms old)`);
    const more = tasks.length > NAMED_TASKS ? `\n  and ${tasks.length - NAMED_TASKS} more` : "";
    const head = `Scope ${quotePath(path)} still has work ${grace} ms after it was cancelled:`;
    super("BOUGH_STUCK_TASKS", head + named.join("") + more);
    this.tasks = tasks;
    detached(this);
  }

  static {
    this.prototype.name = "StuckTasksError";
  }
}

/** `scope.get(key)` found no value on the way to the root, and the key has no default. */
export class MissingContextError extends BoughError {
  constructor(key: string, path: string) {
    super(
      "BOUGH_MISSING_CONTEXT",
      `No value for context key ${JSON.stringify(key)} in scope ${quotePath(path)}`,
    );
  }

  static {
    this.prototype.name = "MissingContextError";
  }
}
