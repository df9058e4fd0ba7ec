// eslint-disable-next-line @typescript-eslint/no-unsafe-function-type -- any function of a user's object
export type AnyFunction = Function;

/** By a function that stands for an inner object's own: that one. A setter unwraps it, so that no handle gets inside. */
export const originals: WeakMap<AnyFunction, AnyFunction> = new WeakMap();

/** The own properties of every function. */
const usual = new Set<PropertyKey>(["length", "name", "prototype", "arguments", "caller"]);

/** Whether a function has properties that `in`, a read or an assignment would miss on another one: a mock, a logger. */
export function hasOwnMembers(original: AnyFunction): boolean {
  return !Reflect.ownKeys(original).every((key) => usual.has(key));
}

/** A function that looks like `original` and is run by `call`. */
export function standInFor(
  original: AnyFunction,
  call: (self: unknown, args: unknown[]) => unknown,
): AnyFunction {
  if (hasOwnMembers(original)) {
    const proxy = new Proxy(original, {
      apply: (_, self, args: unknown[]) => call(self, args),
    });
    originals.set(proxy, original);
    return proxy;
  }
  return lookingLike(
    original,
    {
      [original.name](this: unknown, ...args: unknown[]): unknown {
        return call(this, args);
      },
    }[original.name] as AnyFunction,
  );
}

/** Lends `standIn` the looks of `original`; what that gets later is found by its prototype. */
export function lookingLike(original: AnyFunction, standIn: AnyFunction): AnyFunction {
  Object.defineProperty(standIn, "length", { value: original.length, configurable: true });
  Object.setPrototypeOf(standIn, original);
  originals.set(standIn, original);
  return standIn;
}

/** A class, or a function that is used as one: it is a value, not a method. */
export function isConstructor(value: AnyFunction): boolean {
  const own = Object.getOwnPropertyDescriptor(value, "prototype");
  if (own === undefined) return false;
  if (own.writable !== true) return !isGenerator(value);
  return (
    typeof own.value === "object" && own.value !== null && Reflect.ownKeys(own.value as object).length > 1
  );
}

/** Their `prototype` is what their generators inherit from. It is writable as well, but not everywhere. */
function isGenerator(value: AnyFunction): boolean {
  const tag: unknown = Reflect.get(value, Symbol.toStringTag);
  return tag === "GeneratorFunction" || tag === "AsyncGeneratorFunction";
}

/** Whether a function has no parameters, as what ends a subscription; a function made of another one passes them on. */
export function takesNothing(value: AnyFunction): boolean {
  if (value.length > 0) return false;
  const source = Function.prototype.toString.call(value);
  const close = source.indexOf(")");
  const parameters = source.slice(source.indexOf("(") + 1, close);
  return parameters.trim() === "" && !/\barguments\b/.test(source);
}
