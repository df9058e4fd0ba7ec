import { backgroundNode } from "../kernel/scope-view.js";
import type { Scope } from "../kernel/scope.js";

/**
 * The parent of every root: never cancelled, never closed, and without a name in paths. Use it where a scope
 * is required and there is none, as with Go's `context.Background()`: a task that is spawned in it has no owner.
 *
 * It refuses `defer` and `set`: it never ends, and its values would be visible everywhere.
 *
 * @example
 * ```ts
 * const task = spawn(background, function detached() { return 1; });
 * console.log(task.path, await task); // detached 1
 * ```
 */
export const background: Scope = backgroundNode;
