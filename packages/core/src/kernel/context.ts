import { BoughError } from "../errors/bough-error.js";
import { MissingContextError, ScopeClosedError } from "../errors/scope-errors.js";
import { wrongType, requireType } from "../errors/validate.js";
import { BACKGROUND, CLOSED } from "./state.js";
import type { ScopeNode } from "./node.js";

/**
 * A typed name for a value that travels down the tree. Made by {@link createContextKey}; its identity is the
 * object, not the name.
 */
export class ContextKey<T> {
  readonly name: string;
  /** Carries the type only. */
  declare protected readonly valueType: T;
  readonly #defaults: readonly T[];

  constructor(name: string, defaults: readonly T[]) {
    this.name = name;
    this.#defaults = defaults;
  }

  /** The default in an array of one; an empty array if there is none. `undefined` can be a default. */
  static defaultsOf<T>(key: ContextKey<T>): readonly T[] {
    return key.#defaults;
  }

  static isKey(value: unknown): value is ContextKey<unknown> {
    return typeof value === "object" && value !== null && #defaults in value;
  }
}

/**
 * Makes a key for `scope.set` and `scope.get`.
 *
 * @param name - For messages; need not be unique.
 * @param defaultValue - What `get` returns where no scope on the way to the root has a value. `undefined`
 *   counts if it is passed.
 * @throws {TypeError} If `name` is no string.
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
  return new ContextKey<T>(name, defaultValue as T[]);
}

export function getContext<T>(node: ScopeNode, key: ContextKey<T>): T {
  requireKey("get", key);
  for (let at: ScopeNode | undefined = node; at !== undefined; at = at.parent) {
    const values = at.rarely?.context;
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
  const rare = node.rare();
  rare.context ??= new Map();
  rare.context.set(key, value);
}

function requireKey(operation: string, key: unknown): void {
  if (ContextKey.isKey(key)) return;
  throw wrongType(operation, "key must come from createContextKey()", key);
}
