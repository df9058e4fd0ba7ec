import { refuseOptions } from "../errors/validate.js";
import type { ScopeNode } from "../kernel/node.js";
import { rejectBeforeStart, rejectUnlessLive } from "../kernel/throttled-results.js";
import type { Scope } from "../kernel/scope.js";
import { nodeOf } from "./node-of.js";

/**
 * Begins an operation that waits in `scope`. Rejects without calling `begin` if `scope` is not a scope, is cancelled or has
 * ended. Every error of the arguments is a rejection.
 */
export function inScope<T>(
  operation: string,
  scope: Scope,
  extra: unknown,
  begin: (node: ScopeNode) => Promise<T>,
): Promise<T> {
  try {
    refuseOptions(operation, extra);
    const node = nodeOf(operation, "scope", scope);
    return rejectUnlessLive(operation, node) ?? begin(node);
  } catch (error) {
    return rejectBeforeStart(error);
  }
}
