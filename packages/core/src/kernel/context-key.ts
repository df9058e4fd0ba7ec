import { isObject } from "../errors/user-values.js";

/**
 * A typed key for a context value, which is visible in a scope and everything below it. Made by
 * {@link createContextKey}. Its identity is the object, not the name.
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
    return isObject(value) && #defaults in value;
  }
}
