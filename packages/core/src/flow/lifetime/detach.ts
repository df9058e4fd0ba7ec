import type { ContextKey } from "../../kernel/context.js";
import { nameOf } from "../../kernel/name.js";
import type { ScopeNode } from "../../kernel/node.js";
import type { Scope } from "../../kernel/scope.js";
import { optionNames } from "../../errors/option-names.js";
import { checkType, requireFunction, checkOptionsObject } from "../../errors/validate.js";
import { callSite } from "../../kernel/call-site.js";
import { nodeOf } from "../../task/resolve.js";
import type { Worker } from "../../task/run.js";
import { startTask } from "../../task/spawn.js";
import type { Task } from "../../task/task.js";

/** What {@link detach} takes. */
export interface DetachOptions {
  /** Default: the worker's function name, else `"anonymous"`. */
  readonly name?: string | undefined;
  /** Whether the deadline of `scope` holds for the task, too. Default `false`. */
  readonly keepDeadline?: boolean | undefined;
}

const detachOptionNames = optionNames<DetachOptions>({ name: true, keepDeadline: true });

/**
 * Hands work over to another scope: starts `worker` as a child task of `target`, with the context values that `scope`
 * has now. For what must outlive its beginner, such as an audit record written after the response, without belonging
 * to nobody.
 *
 * **Cancellation:** the task is cancelled with `target`, no longer with `scope`; `scope` does not wait for it, and may
 * be cancelled or closed already. With `keepDeadline` it is cut when the deadline of `scope` passes, which is a
 * failure of the task. In a `target` that is cancelled already the worker is not called.
 *
 * **Failure:** is `target`'s, as with `spawn`.
 *
 * @param scope - Where the values, and if wanted the deadline, come from.
 * @param target - The new owner; open, or closing with a child alive.
 * @param worker - The work. `get` in it finds first what `scope` has, then what `target` has.
 * @returns The task.
 * @throws {ScopeClosedError} If `target` has ended.
 * @throws {TypeError} If an argument is of the wrong type. Nothing was started.
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
  checkOptionsObject("detach", options, detachOptionNames, "{ keepDeadline: true }");
  checkType("detach", "name", "string", options.name);
  checkType("detach", "keepDeadline", "boolean", options.keepDeadline);
  const { name = nameOf(worker), keepDeadline = false } = options;
  const values = valuesOf(origin);
  const carrying: Worker<T> = (own) => {
    for (const [key, value] of values) own.set(key, value);
    return worker(own);
  };
  const taskOptions = { name, deadline: keepDeadline ? origin.deadline : undefined };
  return startTask(parent, carrying, taskOptions, callSite(detach));
}

/** Everything that `get` would find, nearest first. */
function valuesOf(origin: ScopeNode): ReadonlyMap<ContextKey<unknown>, unknown> {
  const values = new Map<ContextKey<unknown>, unknown>();
  for (let at: ScopeNode | undefined = origin; at !== undefined; at = at.parent) {
    for (const [key, value] of at.rarely?.context ?? []) if (!values.has(key)) values.set(key, value);
  }
  return values;
}
