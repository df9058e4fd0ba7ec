import type { ContextKey } from "../../kernel/context-key.js";
import { nameOf } from "../../kernel/name.js";
import type { ScopeNode } from "../../kernel/node.js";
import type { Scope } from "../../kernel/scope.js";
import { optionNames } from "../../errors/option-names.js";
import { checkType, requireFunction } from "../../errors/validate.js";
import { callSite } from "../../kernel/call-site.js";
import { checkTaskOptions, taskNames, type TaskOptions } from "../../task/options.js";
import { nodeOf } from "../../task/node-of.js";
import type { Worker } from "../../task/worker.js";
import { startTask } from "../../task/spawn.js";
import type { Task } from "../../task/task.js";

/** The options of {@link detach}: those of `spawn`, and `keepDeadline`. */
export interface DetachOptions extends TaskOptions {
  /** Whether the deadline of `scope` also applies to the task. Default `false`. */
  readonly keepDeadline?: boolean | undefined;
}

const detachOptionNames = /* @__PURE__ */ optionNames<DetachOptions>({ ...taskNames, keepDeadline: true });

/**
 * Starts `worker` as a child task of `target`, with the context values that `scope` has now.
 *
 * Use it for work that must outlive the scope in which it began and still needs an owner, such as an audit record written
 * after the response.
 *
 * **Cancellation:** the task is cancelled with `target`, not with `scope`. `scope` does not wait for it, and may
 * already be cancelled or closed. With `keepDeadline` the task fails when the deadline of `scope` passes. If `target`
 * is already cancelled, the worker is not called.
 *
 * **Failure:** is a failure of `target`, as with `spawn`.
 *
 * @param scope - The source of the context values and, with `keepDeadline`, of the deadline.
 * @param target - The new owner. Must be open, or closing with a child still running.
 * @param worker - The work. `get` in it finds the values of `scope` first, then those of `target`.
 * @param options - As for `spawn`, and whether the task keeps the deadline of `scope`.
 * @returns The task.
 * @throws {ScopeClosedError} If `target` has ended.
 * @throws {TypeError | RangeError} If an argument is bad. Nothing was started.
 * @example
 * ```ts
 * const user = createContextKey<string>("user");
 * await withScope(async (server) => {
 *   await withScope(server, async (request) => {
 *     request.set(user, "u1");
 *     detach(request, server, async (own) => console.log("audit:", own.get(user)));
 *   });
 * }); // audit: u1
 * ```
 */
export function detach<T>(
  scope: Scope,
  target: Scope,
  worker: Worker<T>,
  options: DetachOptions = {},
): Task<T> {
  const origin = nodeOf("detach", "scope", scope);
  const parent = nodeOf("detach", "target", target);
  requireFunction("detach", "worker", worker);
  checkTaskOptions("detach", options, detachOptionNames);
  checkType("detach", "keepDeadline", "boolean", options.keepDeadline);
  const { name = nameOf(worker), keepDeadline = false } = options;
  const values = valuesOf(origin);
  const carrying: Worker<T> = (own) => {
    for (const [key, value] of values) own.set(key, value);
    return worker(own);
  };
  const deadline = keepDeadline ? earlier(origin.deadline, options.deadline) : options.deadline;
  const taskOptions = { ...options, name, deadline };
  return startTask(parent, carrying, taskOptions, callSite(detach));
}

function earlier(a: number | undefined, b: number | Date | undefined): number {
  return Math.min(a ?? Infinity, Number(b ?? Infinity));
}

/** All context values that `get` would find in `origin`. */
function valuesOf(origin: ScopeNode): ReadonlyMap<ContextKey<unknown>, unknown> {
  const values = new Map<ContextKey<unknown>, unknown>();
  for (let at: ScopeNode | undefined = origin; at !== undefined; at = at.parent) {
    for (const [key, value] of at.extras?.context ?? []) if (!values.has(key)) values.set(key, value);
  }
  return values;
}
