import { backgroundNode } from "../kernel/scope-view.js";
import type { Scope } from "../kernel/scope.js";

/**
 * The parent of every root: never cancelled, never closed, and without a name in paths. Use it where a scope
 * is asked for and there is none, as with Go's `context.Background()`: what is spawned in it has no owner.
 *
 * It takes no `defer` and no `set`: its end never comes, and its values would be everybody's.
 *
 * @example
 * ```ts
 * const task = spawn(background, function detached() { return 1; });
 * console.log(task.path, await task); // detached 1
 * ```
 */
export const background: Scope = backgroundNode;
