import { BoughError } from "../../errors/bough-error.js";
import { requireFunction } from "../../errors/validate.js";
import { PROMOTED, QUEUED, TASK } from "../../kernel/state.js";
import { addHook, Hook, removeHook } from "../../kernel/cancel-hooks.js";
import { checkHeadroom } from "../../kernel/headroom.js";
import { nameOf } from "../../kernel/name.js";
import { ScopeNode } from "../../kernel/node.js";
import { createPromised, type Observer } from "../../kernel/promised.js";
import { failToBegin, markHandled } from "../../kernel/refusal.js";
import type { Scope } from "../../kernel/scope.js";
import { callSite } from "../../kernel/call-site.js";
import { nodeOf } from "../../task/resolve.js";
import type { Worker } from "../../task/run.js";
import { startTask } from "../../task/spawn.js";
import { startChild } from "../../task/start-child.js";

/** How a worker says that it is ready. Once. */
export type Started<R> = (value: R) => void;

/** A worker that says when it is ready. What it returns later is dropped. */
export type StartableWorker<R> = (scope: Scope, started: Started<R>) => ReturnType<Worker<unknown>>;

/**
 * Starts `worker` as a child task of `scope` and waits until it says that it is ready: Trio's `nursery.start`. For a
 * server that has to listen before its clients may begin.
 *
 * **Failure:** what the worker throws before it is ready goes to the caller alone, once everything in its scope has
 * settled, and `scope` does not hear of it; a worker that ends without a word is an error of that kind (code
 * `BOUGH_NOT_STARTED`). After that its failure is `scope`'s, as with `spawn`.
 *
 * **Cancellation:** when `scope` is cancelled before the worker is ready, so is the worker, and the promise rejects
 * with the reason, once everything in it has settled; `started` has no effect then. In a scope that is cancelled
 * already the worker is not called.
 *
 * @param scope - The owner.
 * @param worker - Gets its own scope and `started`, to be called once with a value for the caller.
 * @returns What `started` was called with.
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

/** Apart from `start`, so that the closures here don't keep an owner handle alive. */
function launch<R>(parent: ScopeNode, worker: StartableWorker<R>, site: string | undefined): Promise<R> {
  const starting = new Starting(worker);
  const name = nameOf(worker);
  startTask(parent, (own) => starting.begin(own as ScopeNode), { name }, site);
  return starting.waitIn(parent);
}

/**
 * The worker runs in a scope of its own inside its task. That scope hears of nothing above it until the worker is
 * ready; from then on it counts as a task, whose failures go up.
 */
class Starting<R> extends Hook implements Observer {
  readonly #worker: StartableWorker<R>;
  readonly #outcome = createPromised<R>();
  /** Where it waits for its turn, if the scope has a `concurrency`. */
  #parent: ScopeNode | undefined;
  #node: ScopeNode | undefined;
  #settled = false;

  constructor(worker: StartableWorker<R>) {
    super();
    this.#worker = worker;
  }

  /** For the caller; as an observer's, see there. */
  get promise(): Promise<R> {
    return this.#outcome.promise;
  }

  /** Called right after the spawn: the worker may still be in the queue, or be born cancelled. */
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
    const node = new ScopeNode(task, "start", QUEUED);
    this.#node = node;
    node.observer = this;
    try {
      checkHeadroom();
      const body: Worker<unknown> = (own) => worker(own, (value) => this.#started(node, value));
      startChild(node, undefined, task.rarely?.site, body, "start");
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
    if (node.cancelled) return; // too late: the caller gets the reason, or the failure that has cancelled it
    this.#settled = true;
    node.flags |= TASK | PROMOTED;
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
