import { BoughError } from "../errors/bough-error.js";
import { MissingContextError, ScopeClosedError } from "../errors/scope-errors.js";
import { wrongType } from "../errors/validate.js";
import { ContextKey } from "./context-key.js";
import type { ScopeNode } from "./node.js";
import { BACKGROUND, CLOSED } from "./state.js";

export function getContext<T>(node: ScopeNode, key: ContextKey<T>): T {
  requireKey("get", key);
  for (let at: ScopeNode | undefined = node; at !== undefined; at = at.parent) {
    const values = at.extras?.context;
    if (values?.has(key)) return values.get(key) as T;
  }
  const defaults = ContextKey.defaultsOf(key);
  if (defaults.length === 0) throw new MissingContextError(key.name, node.path);
  return defaults[0] as T;
}

export function setContext<T>(node: ScopeNode, key: ContextKey<T>, value: T): void {
  requireKey("set", key);
  if ((node.flags & CLOSED) !== 0) throw new ScopeClosedError("set", node.path);
  if ((node.flags & BACKGROUND) !== 0) {
    throw new BoughError(
      "BOUGH_BACKGROUND",
      "set: the background carries no values; set it on a scope of your own",
    );
  }
  const extras = node.ensureExtras();
  extras.context ??= new Map();
  extras.context.set(key, value);
}

function requireKey(operation: string, key: unknown): void {
  if (ContextKey.isKey(key)) return;
  throw wrongType(operation, "key must come from createContextKey()", key);
}
