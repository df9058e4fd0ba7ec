import { BoughError } from "../../errors/bough-error.js";
import { createDeadlineReason, type DeadlineExceededError } from "../../errors/cancelled.js";
import { requireFunction } from "../../errors/validate.js";
import { initialScope, isClosed, promoteToTask } from "../../kernel/state.js";
import { addHook, Hook, removeHook } from "../../kernel/cancel-hooks.js";
import { nameOf } from "../../kernel/name.js";
import type { ScopeNode } from "../../kernel/node.js";
import { withResolvers, type Observer } from "../../kernel/observer.js";
import { timeOut } from "../../kernel/deadline.js";
import { LongTimer } from "../../kernel/long-timer.js";
import { calendarNow } from "../../kernel/platform.js";
import { rejectBeforeStart, markHandled, rejectThrottled } from "../../kernel/throttled-results.js";
import type { Scope } from "../../kernel/scope.js";
import { callSite } from "../../kernel/call-site.js";
import { makeChild, startChild } from "../../task/child.js";
import { nodeOf } from "../../task/node-of.js";
import type { Worker } from "../../task/worker.js";
import { startTask } from "../../task/spawn.js";
import type { Task } from "../../task/task.js";
import { checkCombinatorOptions } from "../combinators/combinator-options.js";

/** Called once by a worker when it is ready, with a value for the caller of {@link start}. */
export type Started<R> = (value: R) => void;

/** A worker that calls `started` when it is ready. Its return value is discarded. */
export type StartableWorker<R> = (scope: Scope, started: Started<R>) => ReturnType<Worker<unknown>>;

/** The options of {@link start}. */
export interface StartOptions {
  /** The name of the task. Default: the name of the worker function, or `"anonymous"`. */
  readonly name?: string | undefined;
  /**
   * Milliseconds from the call in which the worker has to call `started`. After that it does not limit the task. 0 starts
   * nothing. Default: no limit.
   */
  readonly timeout?: number | undefined;
}

/**
 * Starts `worker` as a child task of `scope` and waits until it calls `started`, as Trio's `nursery.start` does.
 *
 * Use it for a server that has to listen before its clients may begin.
 *
 * **Failure:** if the worker fails before it has called `started`, only the caller receives the failure, once everything
 * in the worker's scope has settled; `scope` is not cancelled. A worker that ends without having called `started` has
 * failed with the code `BOUGH_NOT_STARTED`. A later failure is a failure of `scope`, as with `spawn`.
 *
 * **Cancellation:** when `scope` is cancelled before the worker has called `started`, so is the worker. The promise
 * rejects with the reason once everything in the worker's scope has settled. `started` has no effect then. If `scope` is
 * already cancelled, the worker is not called. When `timeout` passes before the worker has called `started`, the worker is
 * cancelled with a `DeadlineExceededError`, and the promise rejects with that.
 *
 * @param scope - The owner of the task.
 * @param worker - Called with its own scope and `started`, which it must call once.
 * @param options - `name`, and `timeout` in ms.
 * @returns The value that `started` was called with.
 * @throws {DeadlineExceededError} (as a rejection) If `timeout` has passed before `started` was called.
 * @throws {ScopeClosedError} (as a rejection) If `scope` has ended.
 * @throws {TypeError | RangeError} (as a rejection) If an argument is bad. Nothing was started.
 * @example
 * ```ts
 * await withScope(async (scope) => {
 *   const port = await start(scope, async function server(own, started: Started<number>) {
 *     await sleep(own, 1); // binds
 *     started(8080);
 *     await sleep(own, 5); // serves
 *   });
 *   console.log(port); // 8080
 * });
 * ```
 */
export function start<R = void>(
  scope: Scope,
  worker: StartableWorker<R>,
  options: StartOptions = {},
): Promise<R> {
  try {
    requireFunction("start", "worker", worker);
    checkCombinatorOptions("start", options);
    return launch(nodeOf("start", "scope", scope), worker, options, callSite(start));
  } catch (error) {
    return rejectBeforeStart(error);
  }
}

/** A function apart from `start`, so that its closures do not keep an owner handle alive. */
function launch<R>(
  parent: ScopeNode,
  worker: StartableWorker<R>,
  { name = nameOf(worker), timeout = Infinity }: StartOptions,
  site: string | undefined,
): Promise<R> {
  if (timeout === 0) {
    const task = makeChild("start", parent, name, initialScope); // only for its path; if it starts cancelled, so is the next
    if (!isClosed(task)) return rejectThrottled(timeoutBefore(task));
  }
  const starting = new PendingStart(worker);
  const task = startTask(parent, (own) => starting.begin(own as ScopeNode), { name }, site);
  const promise = starting.waitIn(parent);
  if (timeout !== Infinity) starting.limit(timeout, parent, task);
  return promise;
}

/** The reason of a worker with a `timeout` of 0. */
function timeoutBefore(task: ScopeNode): DeadlineExceededError {
  const { path } = makeChild("start", task, "start", initialScope);
  return createDeadlineReason(path, calendarNow(), 0);
}

/**
 * A worker that has not called `started`, and the promise for the caller.
 *
 * The worker runs in its own scope inside the task. Until it calls `started`, that scope passes its failure to the caller;
 * from then on it counts as a task, whose failure is passed to its parent.
 */
class PendingStart<R> extends Hook implements Observer {
  readonly #worker: StartableWorker<R>;
  readonly #outcome = withResolvers<R>();
  /** The scope in whose queue the worker waits, if that has a `concurrency`. */
  #parent: ScopeNode | undefined;
  #node: ScopeNode | undefined;
  #timer: LongTimer | undefined;
  #settled = false;

  constructor(worker: StartableWorker<R>) {
    super();
    this.#worker = worker;
  }

  /** The promise for the caller. */
  get promise(): Promise<R> {
    return this.#outcome.promise;
  }

  /** Called right after the spawn, when the worker may still be queued, or its task start cancelled. */
  waitIn(parent: ScopeNode): Promise<R> {
    if (this.#node !== undefined) return this.promise;
    if (parent.reason !== undefined) {
      this.#settled = true;
      return rejectBeforeStart(parent.reason);
    }
    this.#parent = parent;
    addHook(parent, this);
    return this.promise;
  }

  /**
   * Limits how long the worker may take until it calls `started`. It is a timer, and not the deadline of a scope:
   * tasks that the worker starts before that must not keep the deadline.
   */
  limit(timeout: number, parent: ScopeNode, task: Task<unknown>): void {
    if (this.#settled) return;
    const instant = calendarNow() + timeout;
    this.#timer = new LongTimer(timeout, () => this.#timedOut(timeout, instant, parent, task), parent);
  }

  #timedOut(timeout: number, instant: number, parent: ScopeNode, task: Task<unknown>): void {
    const node = this.#node;
    if (node !== undefined) return timeOut(node, createDeadlineReason(node.path, instant, timeout));
    removeHook(parent, this);
    const reason = createDeadlineReason(`${task.path}/start`, instant, timeout);
    task.cancel(reason); // it waits in the queue of a `concurrency`
    this.reject(reason);
  }

  run(reason: unknown): void {
    this.reject(reason);
    markHandled(this.promise);
  }

  begin(task: ScopeNode): void {
    if (this.#parent !== undefined) removeHook(this.#parent, this);
    const worker = this.#worker;
    try {
      const node = makeChild("start", task, "start", initialScope);
      this.#node = node;
      node.observer = this;
      const body: Worker<unknown> = (own) => worker(own, (value) => this.#started(node, value));
      startChild(node, body, undefined, task.extras?.site, "start");
    } catch (error) {
      this.reject(error);
    }
  }

  #started(node: ScopeNode, value: R): void {
    if (this.#settled) {
      throw new BoughError("BOUGH_STARTED", "start: started() must be called once, before the worker ends");
    }
    if (node.cancelled) return; // the caller receives the reason, or the failure that has cancelled the scope
    this.#settle();
    promoteToTask(node);
    this.#outcome.resolve(value);
  }

  resolve(): void {
    const message = "start: the worker must call started() before it ends";
    this.reject(this.#node?.reason ?? new BoughError("BOUGH_NOT_STARTED", message));
  }

  reject(error: unknown): void {
    if (this.#settled) return;
    this.#settle();
    this.#outcome.reject(error);
  }

  #settle(): void {
    this.#settled = true;
    this.#timer?.clear();
  }
}
