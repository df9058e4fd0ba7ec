import { BoughError } from "../errors/bough-error.js";
import { MissingContextError } from "../errors/missing-context-error.js";
import { closedError } from "./closed-error.js";
import { requireType } from "../errors/validate.js";
import { ContextKey } from "./context-key.js";
import { notAKey, setContextValues, type ContextValues } from "./context.js";
import type { ScopeNode } from "./node.js";
import { isBackground, isClosed } from "./state.js";

const contextValues: ContextValues = {
  get(node, key) {
    for (let at: ScopeNode | undefined = node; at !== undefined; at = at.parent) {
      const values = at.extras?.context;
      if (values === undefined) continue;
      const value = values.get(key);
      if (value !== undefined || values.has(key)) return value as never;
    }
    if (!ContextKey.isKey(key)) throw notAKey("get", key); // only now: what was found by it is a key
    const defaults = ContextKey.defaultsOf(key);
    if (defaults.length === 0) throw new MissingContextError(key.name, node.path);
    return defaults[0] as never;
  },

  set(node, key, value) {
    if (!ContextKey.isKey(key)) throw notAKey("set", key);
    if (isClosed(node)) throw closedError("set", node);
    if (isBackground(node)) {
      throw new BoughError(
        "BOUGH_BACKGROUND",
        "set: the background can't have values; set it on another scope",
      );
    }
    const extras = node.ensureExtras();
    extras.context ??= new Map();
    extras.context.set(key, value);
  },
};

/**
 * Creates a key for `scope.set` and `scope.get`.
 *
 * @param name - For messages; need not be unique.
 * @param defaultValue - What `get` returns where no scope on the way to the root has a value. `undefined`
 *   counts if it is passed.
 * @returns The key.
 * @throws {TypeError} If `name` is not a string.
 * @example
 * ```ts
 * const userId = createContextKey<string>("userId");
 * await withScope(async (scope) => {
 *   scope.set(userId, "u1");
 *   await spawn(scope, (task) => console.log(task.get(userId))); // u1
 * });
 * ```
 */
export function createContextKey<T>(name: string, ...defaultValue: [T?]): ContextKey<T> {
  requireType("createContextKey", "name", "string", name);
  setContextValues(contextValues);
  return new ContextKey<T>(name, defaultValue as T[]);
}
