import type { CancelledError } from "../errors/cancelled.js";
import { ScopeClosedError } from "../errors/scope-errors.js";
import { CLOSED } from "../kernel/flags.js";
import type { ScopeNode } from "../kernel/node.js";

/**
 * Why nothing can wait in a scope: it is cancelled, or it has ended. What waited there all the same would take a
 * message or a permit that nobody then has.
 */
export function refusal(operation: string, node: ScopeNode): CancelledError | ScopeClosedError | undefined {
  if (node.reason !== undefined) return node.reason;
  return (node.flags & CLOSED) === 0 ? undefined : new ScopeClosedError(operation, node.path);
}
