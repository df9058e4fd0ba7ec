// Looks at values of users: a proxy or a getter may throw.

/** Whether `value` is an object or a function. */
export function isObject(value: unknown): value is object {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

/** Whether `value` is an object, and not a function. */
export function isObjectLike(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** Whether `await` would wait for `value`. May throw: a user's object may have a getter for `then`. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return isObject(value) && typeof (value as { then?: unknown }).then === "function";
}

/** The name of a function, a class or an error. Empty if it has none that can be read. */
export function readName(value: unknown): string {
  try {
    const { name } = value as { readonly name?: unknown }; // `Reflect.get` takes four times as long
    return typeof name === "string" ? name : "";
  } catch {
    return "";
  }
}

/** The name of the class of an object. `undefined` for a literal. */
export function classNameOf(object: object): string | undefined {
  let name: string;
  try {
    name = readName(object.constructor);
  } catch {
    return undefined; // a proxy, or a getter, that throws
  }
  return name === "Object" || name === "" ? undefined : name;
}

/** Reads a property. `undefined` if that throws. */
export function read(object: object, key: string): unknown {
  try {
    return Reflect.get(object, key);
  } catch {
    return undefined;
  }
}
