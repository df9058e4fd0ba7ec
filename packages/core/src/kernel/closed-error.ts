import { ScopeClosedError } from "../errors/scope-errors.js";
import type { ScopeNode } from "./node.js";

/** The error of an operation in a scope that has ended. */
export function closedError(operation: string, { path, observer }: ScopeNode): ScopeClosedError {
  return new ScopeClosedError(operation, path, observer?.closedHint);
}
