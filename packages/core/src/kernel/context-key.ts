import { requireType } from "../errors/validate.js";

/**
 * A typed name for a value that travels down the tree. Made by {@link createContextKey}; its identity is the
 * object, not the name.
 */
export class ContextKey<T> {
  /** For messages; need not be unique. */
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

  /** Whether `value` is a key. */
  static isKey(value: unknown): value is ContextKey<unknown> {
    return typeof value === "object" && value !== null && #defaults in value;
  }
}

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
  return new ContextKey<T>(name, defaultValue as T[]);
}
