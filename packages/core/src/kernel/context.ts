import { wrongType } from "../errors/validate.js";
import type { ContextKey } from "./context-key.js";
import type { ScopeNode } from "./node.js";

/** Finds and keeps the values of `scope.get` and `scope.set`; see `context-values.ts`. Throws if `key` is not a key. */
export interface ContextValues {
  get<T>(node: ScopeNode, key: ContextKey<T>): T;
  set<T>(node: ScopeNode, key: ContextKey<T>, value: T): void;
}

let values: ContextValues | undefined;

/** Called with the first key: a program without keys does not bundle what only they need. */
export function setContextValues(implementation: ContextValues): void {
  values = implementation;
}

/** @throws {TypeError} If there is no key yet: then `key` is not one. */
export function contextValues(operation: string, key: unknown): ContextValues {
  if (values === undefined) throw notAKey(operation, key);
  return values;
}

export function notAKey(operation: string, key: unknown): TypeError {
  return wrongType(operation, "key must come from createContextKey()", key);
}
