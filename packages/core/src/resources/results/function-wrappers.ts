// eslint-disable-next-line @typescript-eslint/no-unsafe-function-type -- any function of a user's object
export type AnyFunction = Function;

/**
 * The original functions of an inner object, by the functions that replace them. A setter unwraps these, so that no
 * handle gets inside.
 */
export const originals: WeakMap<AnyFunction, AnyFunction> = new WeakMap();

/** The source code of a function. Of a proxy or a bound function it has the form `function () { [native code] }`. */
export function sourceOf(value: AnyFunction): string {
  return Function.prototype.toString.call(value);
}

/** The own properties that every function has. */
const standardProperties = new Set<PropertyKey>(["length", "name", "prototype", "arguments", "caller"]);

/** Whether a function has properties that `in`, a read or an assignment would miss on another one: a mock, a logger. */
export function hasOwnMembers(original: AnyFunction): boolean {
  return !Reflect.ownKeys(original).every((key) => standardProperties.has(key));
}

/** Creates a function that looks like `original` and runs `call`. */
export function wrapFunction(
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
  return copyFunctionShape(
    original,
    {
      [original.name](this: unknown, ...args: unknown[]): unknown {
        return call(this, args);
      },
    }[original.name] as AnyFunction,
  );
}

/** Copies the properties of `original` to `wrapper`. Later properties are found through the prototype. */
export function copyFunctionShape(original: AnyFunction, wrapper: AnyFunction): AnyFunction {
  Object.defineProperty(wrapper, "length", { value: original.length, configurable: true });
  Object.setPrototypeOf(wrapper, original);
  originals.set(wrapper, original);
  return wrapper;
}

/**
 * The prototype of a method of the class of handles. It shows the members that the method of the inner object's class has
 * now, such as the `mock` of a spy, or the metadata of a decorator.
 */
class MembersOfMethod implements ProxyHandler<AnyFunction> {
  readonly #prototype: object;
  readonly #name: PropertyKey;

  constructor(prototype: object, name: PropertyKey) {
    this.#prototype = prototype;
    this.#name = name;
  }

  has(original: AnyFunction, key: PropertyKey): boolean {
    return Reflect.has(this.#current(original), key);
  }

  get(original: AnyFunction, key: PropertyKey): unknown {
    const current = this.#current(original);
    const value: unknown = Reflect.get(current, key);
    if (typeof value !== "function" || key in Function.prototype || isConstructor(value)) return value;
    return value.bind(current) as unknown; // `spy.mockReturnValue` configures `this`
  }

  set(original: AnyFunction, key: PropertyKey, value: unknown): boolean {
    return Reflect.set(this.#current(original), key, value);
  }

  getPrototypeOf(original: AnyFunction): object {
    return this.#current(original);
  }

  #current(original: AnyFunction): AnyFunction {
    const found: unknown = Reflect.get(this.#prototype, this.#name);
    return typeof found === "function" ? found : original;
  }
}

/** Makes a method of the class of handles show the members of the method `name` of `prototype`. */
export function showMembersOf(
  prototype: object,
  name: PropertyKey,
  original: AnyFunction,
  method: AnyFunction,
): void {
  Object.setPrototypeOf(method, new Proxy(original, new MembersOfMethod(prototype, name)));
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

/** Their generators inherit from their `prototype`. It is writable as well, but not everywhere. */
function isGenerator(value: AnyFunction): boolean {
  return String(Reflect.get(value, Symbol.toStringTag)).endsWith("GeneratorFunction");
}

/**
 * Whether a function has no parameters, as a function that ends a subscription. A function that wraps another one
 * passes parameters on.
 */
export function hasNoParameters(value: AnyFunction): boolean {
  if (value.length > 0) return false;
  const source = sourceOf(value);
  return /^[^(]*\(\s*\)/.test(source) && !/\barguments\b/.test(source);
}
