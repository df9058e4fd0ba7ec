import { BoughError } from "../../errors/bough-error.js";
import { requireFunction } from "../../errors/validate.js";
import { initialScope, promoteToTask } from "../../kernel/state.js";
import { addHook, Hook, removeHook } from "../../kernel/cancel-hooks.js";
import { checkHeadroom } from "../../kernel/headroom.js";
import { nameOf } from "../../kernel/name.js";
import type { ScopeNode } from "../../kernel/node.js";
import { ScopeView } from "../../kernel/scope-view.js";
import { createPromised, type Observer } from "../../kernel/promised.js";
import { failToBegin, markHandled } from "../../kernel/refusal.js";
import type { Scope } from "../../kernel/scope.js";
import { callSite } from "../../kernel/call-site.js";
import { nodeOf } from "../../task/resolve.js";
import type { Worker } from "../../task/run.js";
import { startTask } from "../../task/spawn.js";
import { startChild } from "../../task/start-child.js";

/** Called once by a worker when it is ready, with a value for the caller of {@link start}. */
export type Started<R> = (value: R) => void;

/** A worker that calls `started` when it is ready. Its return value is discarded. */
export type StartableWorker<R> = (scope: Scope, started: Started<R>) => ReturnType<Worker<unknown>>;

/**
 * Starts `worker` as a child task of `scope` and waits until it calls `started`, as Trio's `nursery.start` does.
 *
 * Use it for a server that has to listen before its clients may begin.
 *
 * **Failure:** if the worker fails before it has called `started`, only the caller receives the failure, once everything
 * in the worker's scope has settled; `scope` is not cancelled. A worker that ends without having called `started` has
 * failed with the code `BOUGH_NOT_STARTED`. A later failure is a failure of `scope`, as with `spawn`.
 *
 * **Cancellation:** when `scope` is cancelled before the worker has called `started`, so is the worker, and the promise
 * rejects with the reason once everything in the worker's scope has settled. `started` has no effect then. If `scope` is
 * already cancelled, the worker is not called.
 *
 * @param scope - The owner of the task.
 * @param worker - Called with its own scope and `started`, which it must call once.
 * @returns The value that `started` was called with.
 * @throws {ScopeClosedError} (as a rejection) If `scope` has ended.
 * @throws {TypeError} (as a rejection) If an argument is of the wrong type. Nothing was started.
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
export function start<R = void>(scope: Scope, worker: StartableWorker<R>): Promise<R> {
  try {
    requireFunction("start", "worker", worker);
    return launch(nodeOf("start", "scope", scope), worker, callSite(start));
  } catch (error) {
    return failToBegin(error);
  }
}

/** A function apart from `start`, so that its closures do not keep an owner handle alive. */
function launch<R>(parent: ScopeNode, worker: StartableWorker<R>, site: string | undefined): Promise<R> {
  const starting = new PendingStart(worker);
  const name = nameOf(worker);
  startTask(parent, (own) => starting.begin(own as ScopeNode), { name }, site);
  return starting.waitIn(parent);
}

/**
 * A worker that has not called `started`, and the promise for the caller.
 *
 * The worker runs in its own scope inside the task. Until it calls `started`, that scope passes its failure to the caller;
 * from then on it counts as a task, whose failure is passed to its parent.
 */
class PendingStart<R> extends Hook implements Observer {
  readonly #worker: StartableWorker<R>;
  readonly #outcome = createPromised<R>();
  /** The scope in whose queue the worker waits, if that has a `concurrency`. */
  #parent: ScopeNode | undefined;
  #node: ScopeNode | undefined;
  #settled = false;

  constructor(worker: StartableWorker<R>) {
    super();
    this.#worker = worker;
  }

  /** The promise for the caller. */
  get promise(): Promise<R> {
    return this.#outcome.promise;
  }

  /** Called right after the spawn, when the worker may still be queued, or its task be born cancelled. */
  waitIn(parent: ScopeNode): Promise<R> {
    if (this.#node !== undefined) return this.promise;
    if (parent.reason !== undefined) return failToBegin(parent.reason);
    this.#parent = parent;
    addHook(parent, this);
    return this.promise;
  }

  run(reason: unknown): void {
    this.reject(reason);
    markHandled(this.promise);
  }

  begin(task: ScopeNode): void {
    if (this.#parent !== undefined) removeHook(this.#parent, this);
    const worker = this.#worker;
    const node = new ScopeView(task, "start", initialScope);
    this.#node = node;
    node.observer = this;
    try {
      checkHeadroom();
      const body: Worker<unknown> = (own) => worker(own, (value) => this.#started(node, value));
      startChild(node, undefined, task.extras?.site, body, "start");
    } catch (error) {
      this.reject(error);
    }
  }

  #started(node: ScopeNode, value: R): void {
    if (this.#settled) {
      throw new BoughError(
        "BOUGH_STARTED",
        "start: started() was called twice, or after the worker had ended",
      );
    }
    if (node.cancelled) return; // the caller receives the reason, or the failure that has cancelled the scope
    this.#settled = true;
    promoteToTask(node);
    this.#outcome.resolve(value);
  }

  resolve(): void {
    const message = "start: the worker ended without having called started()";
    this.reject(this.#node?.reason ?? new BoughError("BOUGH_NOT_STARTED", message));
  }

  reject(error: unknown): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#outcome.reject(error);
  }
}
