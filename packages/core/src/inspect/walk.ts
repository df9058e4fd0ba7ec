import { checkOptionsObject, requireDuration } from "../errors/validate.js";
import { optionNames } from "../errors/option-names.js";
import { elapsed } from "../kernel/monotonic-clock.js";
import type { ScopeNode } from "../kernel/node.js";
import { realNow, turn } from "../kernel/platform.js";
import { backgroundNode } from "../kernel/scope-view.js";
import type { Scope } from "../kernel/scope.js";
import { cursors } from "../kernel/tree.js";
import { nodeOf } from "../task/node-of.js";
import { nodeDescriber, type NodeInfo } from "./describe-node.js";
import { TreeCursor } from "./tree-cursor.js";

/** The options of {@link walk}. */
export interface WalkOptions {
  /** How long the walk may block the event loop at a time, in milliseconds. Default: 2. */
  readonly slice?: number;
}

const walkOptionNames = optionNames<WalkOptions>({ slice: true });

/**
 * Visits every scope of a tree without blocking: the {@link snapshot} for large trees.
 *
 * It describes scopes for `slice` milliseconds, yields them, and continues in a later turn of the event loop. The tree
 * may change in between. A scope is described in the state in which the walk reaches it. A scope that lives during the
 * whole walk is described exactly once, after its parent. A scope that starts or ends during the walk is described at
 * most once.
 *
 * @param scope - Where to begin. Default: the background, which is the whole process.
 * @param options - The length of a slice.
 * @returns The scopes in slices, parents first and children in spawn order.
 * @throws {TypeError | RangeError} If `scope` is not a scope, or an option is wrong.
 * @example
 * ```ts
 * await withScope({ name: "server" }, async (scope) => {
 *   for (let job = 0; job < 3; job++) spawn(scope, (task) => sleep(task, 10), { name: "job" });
 *   let sleeping = 0;
 *   for await (const slice of walk(scope)) sleeping += slice.filter(({ waits }) => waits?.[0]?.operation === "sleep").length;
 *   console.log(sleeping); // 3
 * });
 * ```
 */
export function walk(
  scope?: Scope,
  options: WalkOptions = {},
): AsyncGenerator<readonly NodeInfo[], void, void> {
  const root = scope === undefined ? backgroundNode : nodeOf("walk", "scope", scope);
  checkOptionsObject("walk", options, walkOptionNames);
  const { slice = 2 } = options;
  requireDuration("walk", "slice", slice);
  return slices(root, slice);
}

async function* slices(root: ScopeNode, slice: number): AsyncGenerator<readonly NodeInfo[], void, void> {
  const position = new TreeCursor({ root, cursors, elapsed }, realNow, nodeDescriber());
  try {
    while (!position.ended) {
      yield position.take(slice);
      if (!position.ended) await turn();
    }
  } finally {
    position.close();
  }
}
