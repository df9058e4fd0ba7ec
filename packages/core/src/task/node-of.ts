import { BoughError } from "../errors/bough-error.js";
import { isObject, isThenable } from "../errors/user-values.js";
import { scopeBrand } from "../errors/brands.js";
import { wrongType } from "../errors/validate.js";
import { ScopeNode } from "../kernel/node.js";
import type { Scope } from "../kernel/scope.js";

/** Set by the first handle, so that a program without handles does not bundle them. */
let nodeOfHandle: (value: unknown) => ScopeNode | undefined = () => undefined;

export function setHandles(nodeOf: typeof nodeOfHandle): void {
  nodeOfHandle = nodeOf;
}

/** The node of a scope: a view is a node, and a handle has one. */
export function nodeOf(operation: string, parameter: string, scope: Scope): ScopeNode {
  if (scope instanceof ScopeNode) return scope;
  const node = nodeOfHandle(scope);
  if (node !== undefined) return node;
  throw notAScope(operation, parameter, scope);
}

/** Whether `value` is a scope, of this copy of the package or of another one. */
export function isScope(value: unknown): value is Scope {
  return isObject(value) && scopeBrand in value;
}

function notAScope(operation: string, parameter: string, value: unknown): Error {
  if (isScope(value)) {
    const message =
      `${operation}: ${parameter} belongs to another copy of bough; ` +
      `install the package only once (see npm ls bough), because each copy has its own tree`;
    return new BoughError("BOUGH_FOREIGN_SCOPE", message);
  }
  const hint = isThenable(value) ? " (a missing await?)" : "";
  return wrongType(operation, `${parameter} must be a Scope`, value, hint);
}
