import { MAX_NAMED_TASKS } from "./constants.js";
import { BoughError } from "./bough-error.js";
import { detached } from "./detach-stack.js";
import { quotePath } from "./describe.js";

/** A task or a scope as data, in reports and messages. A plain object: it keeps nothing alive. */
export interface TaskInfo {
  /** The option `name`, otherwise the name of the worker's function, otherwise `"anonymous"`. */
  readonly name: string;
  /** Names from the root, joined by `/`. */
  readonly path: string;
  /** Whether it is alive, or how it has ended. */
  readonly status: TaskStatus;
  /** Milliseconds since it was spawned. */
  readonly age: number;
  /** Where it was spawned; recorded only while tracing is on. */
  readonly spawnedAt?: string;
  /** In a report of stuck tasks: the part of the task that has not finished. */
  readonly waitingFor?: WaitingFor;
  /** With `waitingFor: "cleanup"`: the name of the function, or the class of the resource, if it has one. */
  readonly cleanup?: string;
  /** With `waitingFor: "cleanup"`: where it was deferred; recorded only while tracing is on. */
  readonly deferredAt?: string;
  /** In a report of stuck tasks: a note from an integration, such as the process that it waits for. */
  readonly annotation?: string;
}

/**
 * The part of a stuck scope that has not finished:
 *
 * - `worker`: the worker of a task; `body`: the body of a scope (`withScope`, a combinator, `shield`, `main`)
 * - `operation`: the Effection operation that is its worker or body
 * - `source`: the source of items of a `map` or `stream`, which has been asked to end
 * - `cleanup`: a function that was deferred, or the disposal of a resource
 * - `response`: the handler of a request has not ended the response; `client`: it has, and the client has not got it yet
 * - `close`: an owner handle that has not been closed
 * - `notification`: the listeners of its cancellation are still running
 * - `children`: only its children, which are about to end
 */
export type WaitingFor =
  | "worker"
  | "body"
  | "operation"
  | "source"
  | "cleanup"
  | "response"
  | "client"
  | "close"
  | "notification"
  | "children";

/** The life of a task: `queued` and `running` are alive, the others are final. */
export type TaskStatus = "queued" | "running" | "succeeded" | "failed" | "cancelled";

/**
 * Thrown by `spawn`, `defer`, `use`, `set`, `createScope(parent)` and `withScope(parent)` on a scope that has
 * ended. Nothing was started.
 */
export class ScopeClosedError extends BoughError {
  /** @param hint - Why it has ended, if that may surprise, and what to do. */
  constructor(operation: string, path: string, hint?: string) {
    super(
      "BOUGH_SCOPE_CLOSED",
      `${operation}: scope ${quotePath(path)} is closed${hint === undefined ? "" : `: ${hint}`}`,
    );
  }

  static {
    this.prototype.name = "ScopeClosedError";
  }
}

/** What a report says of unfinished work. */
const unfinished: Partial<Record<WaitingFor, string>> = {
  worker: "its worker has not returned",
  body: "its body has not returned",
  cleanup: "has not finished",
  close: "its owner has not closed it",
  notification: "the listeners of its cancellation are still running",
  children: "its children have not ended",
};

/** A kind of work that not every program has. It brings the words for reports with it. */
export function workKind<K extends WaitingFor>(kind: K, words: string): K {
  unfinished[kind] = words;
  return kind;
}

function unfinishedWork({ status, waitingFor, cleanup, deferredAt }: TaskInfo): string {
  if (waitingFor === undefined) return status;
  if (waitingFor !== "cleanup") return unfinished[waitingFor] ?? waitingFor;
  const name = cleanup === undefined ? "" : ` ${JSON.stringify(cleanup)}`;
  const site = deferredAt === undefined ? "" : `, deferred at ${deferredAt},`;
  return `a cleanup${name}${site} ${unfinished.cleanup}`;
}

const annotationOf = ({ annotation }: TaskInfo): string =>
  annotation === undefined ? "" : `, ${annotation}`;

/**
 * The grace period has passed: a scope was cancelled, and some of its work has not ended. The scope settles when that
 * work ends.
 */
export class StuckTasksError extends BoughError {
  /**
   * The tasks and scopes that hold the scope up, outermost first; never empty. Tasks and scopes that only wait for
   * another entry are omitted. See {@link TaskInfo.waitingFor}.
   */
  readonly tasks: readonly TaskInfo[];

  constructor(path: string, grace: number, tasks: readonly TaskInfo[]) {
    const named = tasks
      .slice(0, MAX_NAMED_TASKS)
      .map((task) => `\n  ${task.path} (${unfinishedWork(task)}${annotationOf(task)}, ${task.age} ms old)`);
    const more = tasks.length > MAX_NAMED_TASKS ? `\n  and ${tasks.length - MAX_NAMED_TASKS} more` : "";
    const head = `Scope ${quotePath(path)} still has work ${grace} ms after it was cancelled:`;
    super("BOUGH_STUCK_TASKS", head + named.join("") + more);
    this.tasks = tasks;
    detached(this);
  }

  static {
    this.prototype.name = "StuckTasksError";
  }
}
