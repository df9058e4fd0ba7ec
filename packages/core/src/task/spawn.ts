import { requireFunction } from "../errors/validate.js";
import { initialDaemon, initialTask } from "../kernel/state.js";
import { ScopeNode } from "../kernel/node.js";
import type { Scope } from "../kernel/scope.js";
import { callSite } from "../kernel/call-site.js";
import { makeChild, startChild } from "./child.js";
import { checkTaskOptions, type TaskOptions } from "./options.js";
import { nodeOf } from "./node-of.js";
import type { Worker } from "./worker.js";
import { NodeTask, type Task } from "./task.js";

/**
 * Starts `worker` as a child task of `scope`.
 *
 * The scope does not settle before the task has settled. If the task fails, its siblings are cancelled with the failure
 * as cause, unless the scope supervises. If the worker throws, synchronously or not, the task fails; `spawn` does not throw.
 *
 * **Cancellation:** `worker` gets its own scope, whose `signal` aborts when this task or any ancestor is
 * cancelled. `spawn` can't stop code that ignores the signal. In a scope that is cancelled already, `worker` is never
 * called, and the returned task is cancelled with the scope's reason.
 *
 * @param scope - The owner; open, or closing with a child alive.
 * @param worker - The work. Called once, synchronously, unless the scope's `concurrency` makes it wait.
 * @param options - Name, limits, receivers; `timeout` and `grace` in ms.
 * @returns The task: await it for the worker's value.
 * @throws {ScopeClosedError} If `scope` has ended.
 * @throws {TypeError | RangeError} If an argument is of the wrong type or out of range. Nothing was started.
 * @throws {BoughError} If `scope` belongs to another copy of the package.
 * @example Two workers that succeed or fail together
 * ```ts
 * const sum = await withScope(async (scope) => {
 *   const a = spawn(scope, async () => 1);
 *   const b = spawn(scope, async () => 2);
 *   return (await a) + (await b);
 * });
 * console.log(sum); // 3
 * ```
 */
export function spawn<T>(scope: Scope, worker: Worker<T>, options?: TaskOptions): Task<T> {
  const parent = scope instanceof ScopeNode ? scope : nodeOf("spawn", "scope", scope);
  requireFunction("spawn", "worker", worker);
  if (options !== undefined) checkTaskOptions("spawn", options);
  const node = makeTask(parent, worker, options);
  const task = new NodeTask<T>(node);
  NodeTask.setWork(task, startChild(node, worker, options, callSite(spawn)));
  return task;
}

/** `spawn` for other public functions that start a task; `site` is their call site. */
export function startTask<T>(
  parent: ScopeNode,
  worker: Worker<T>,
  options: TaskOptions | undefined,
  site: string | undefined,
): Task<T> {
  const node = makeTask(parent, worker, options);
  const task = new NodeTask<T>(node);
  NodeTask.setWork(task, startChild(node, worker, options, site));
  return task;
}

function makeTask(parent: ScopeNode, worker: Worker<unknown>, options: TaskOptions | undefined): ScopeNode {
  const initialState = options?.daemon === true ? initialDaemon : initialTask;
  return makeChild("spawn", parent, options?.name ?? worker, initialState, options);
}
