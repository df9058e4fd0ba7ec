import { requireFunction } from "../errors/validate.js";
import { initialDaemon, initialTask } from "../kernel/state.js";
import { checkHeadroom } from "../kernel/headroom.js";
import { ScopeNode } from "../kernel/node.js";
import { ScopeView } from "../kernel/scope-view.js";
import type { Scope } from "../kernel/scope.js";
import { callSite } from "../kernel/call-site.js";
import { interrupted } from "../kernel/interrupted-steps.js";
import { admits, bornCancelled } from "./admit.js";
import { checkTaskOptions, type TaskOptions } from "./options.js";
import { nodeOf } from "./resolve.js";
import { begin, type Worker } from "./run.js";
import { addChild, giveUp } from "./start-child.js";
import { NodeTask, type Task } from "./task.js";

/**
 * Starts `worker` as a child task of `scope`.
 *
 * The scope does not settle before the task has. If the task fails, its siblings are cancelled with the failure
 * as cause, unless the scope supervises. A throw of the worker's, synchronous or not, is the task's failure,
 * never `spawn`'s.
 *
 * **Cancellation:** `worker` gets its own scope, whose `signal` aborts when this task or any ancestor is
 * cancelled. `spawn` cannot stop code that ignores it. In a scope that is cancelled already, `worker` is never
 * called, and the returned task is cancelled with the scope's reason.
 *
 * @param scope - The owner; open, or closing with a child alive.
 * @param worker - The work. Called once, synchronously, unless the scope's `concurrency` makes it wait.
 * @param options - Name, limits, receivers; `timeout` and `grace` in ms.
 * @returns The task: await it for the worker's value.
 * @throws {ScopeClosedError} If `scope` has ended.
 * @throws {TypeError | RangeError} If an argument is of the wrong type or out of range. Nothing was started.
 * @throws {BoughError} If `scope` belongs to another copy of the package.
 * @example Two workers, one fate
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
  const node = addTask(parent, worker, options, callSite(spawn));
  try {
    const task = new NodeTask<T>(node);
    begin(node, worker);
    return task;
  } catch (error) {
    const { steps } = interrupted;
    steps[steps.length] = giveUp;
    steps[steps.length] = node;
    steps[steps.length] = error;
    interrupted.wake?.(undefined);
    interrupted.wake = undefined;
    throw error;
  }
}

/** `spawn`, for functions that start a task of their own: `site` is where they were called. */
export function startTask<T>(
  parent: ScopeNode,
  worker: Worker<T>,
  options: TaskOptions | undefined,
  site: string | undefined,
): Task<T> {
  const node = addTask(parent, worker, options, site);
  try {
    const task = new NodeTask<T>(node);
    begin(node, worker);
    return task;
  } catch (error) {
    const { steps } = interrupted;
    steps[steps.length] = giveUp;
    steps[steps.length] = node;
    steps[steps.length] = error;
    interrupted.wake?.(undefined);
    interrupted.wake = undefined;
    throw error;
  }
}

function addTask(
  parent: ScopeNode,
  worker: Worker<unknown>,
  options: TaskOptions | undefined,
  site: string | undefined,
): ScopeNode {
  checkHeadroom();
  const node = new ScopeView(
    parent,
    options?.name ?? worker,
    options?.daemon === true ? initialDaemon : initialTask,
  );
  if (admits("spawn", parent)) addChild(node, options, site, worker);
  else bornCancelled(node, options);
  return node;
}
