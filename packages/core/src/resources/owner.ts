import { detached } from "../errors/detach-stack.js";
import type { ScopeNode } from "../kernel/node.js";
import { outgoing } from "./outgoing.js";

// eslint-disable-next-line @typescript-eslint/no-unsafe-function-type -- whatever a user's object has
type AnyFunction = Function;

/** Functions that stand for an inner object's own: what a setter unwraps, so that no handle gets inside. */
const originals = new WeakMap<AnyFunction, AnyFunction>();

/**
 * What every handle of `selfCleaning` is made of: it points at the inner object and at the scope's node, and
 * neither points back (contract, rule 19).
 *
 * The functions made here run with `this` = a handle, find its inner object, and go on with that. Called with
 * another `this` (a method taken off its handle) they behave as the member they stand for.
 */
export class Owner {
  readonly #inner: object;
  readonly #node: ScopeNode;
  /** By the function it stands for; a function that came through the handle stands for itself. */
  #functions: WeakMap<AnyFunction, AnyFunction> | undefined;

  constructor(inner: object, node: ScopeNode) {
    this.#inner = inner;
    this.#node = node;
  }

  static nodeOf(value: unknown): ScopeNode | undefined {
    return typeof value === "object" && value !== null && #node in value ? value.#node : undefined;
  }

  /** Without a look whether it is there (`#inner in value`), which is a second look-up in every call. */
  static innerOf(value: unknown): object | undefined {
    try {
      return (value as Owner).#inner;
    } catch {
      return undefined;
    }
  }

  /** A method on the prototype. */
  static method(name: string | symbol, method: AnyFunction): AnyFunction {
    const forward = {
      [name](this: unknown, ...args: unknown[]): unknown {
        const inner = Owner.innerOf(this);
        let result: unknown;
        try {
          result = Reflect.apply(method, inner ?? this, args); // one place to call it from: the engine inlines that
        } catch (error) {
          throw detached(error);
        }
        if (typeof result !== "object" || result === null || inner === undefined) return result;
        return outgoing(this as object, inner, result);
      },
    }[name as string] as AnyFunction;
    Object.defineProperty(forward, "length", { value: method.length, configurable: true });
    originals.set(forward, method);
    return forward;
  }

  /** An accessor or a field. What it holds is not a call's result, so it does not pin the handle. */
  static get(handle: Owner, key: PropertyKey): unknown {
    const inner = Owner.innerOf(handle);
    if (inner === undefined) return undefined; // somebody looks at the prototype
    let value: unknown;
    try {
      value = Reflect.get(inner, key);
    } catch (error) {
      throw detached(error);
    }
    if (value === inner) return handle;
    return typeof value === "function" ? handle.#bound(value) : value;
  }

  static set(handle: Owner, key: PropertyKey, value: unknown): boolean {
    const inner = Owner.innerOf(handle);
    if (inner === undefined) return false;
    if (typeof value === "function" && !originals.has(value)) {
      (handle.#functions ??= new WeakMap()).set(value, value);
    }
    const entering =
      value === handle ? inner : typeof value === "function" ? (originals.get(value) ?? value) : value;
    try {
      return Reflect.set(inner, key, entering);
    } catch (error) {
      throw detached(error);
    }
  }

  /**
   * The function in a field, or a getter's, as a method. Bound to the handle: who takes it off, as in
   * `const { get } = handle`, still holds the handle.
   */
  #bound(method: AnyFunction): AnyFunction {
    if (isConstructor(method)) return method;
    const functions = (this.#functions ??= new WeakMap<AnyFunction, AnyFunction>());
    const known = functions.get(method);
    if (known !== undefined) return known;
    // eslint-disable-next-line @typescript-eslint/no-this-alias -- an arrow function has no name to give
    const handle = this;
    const forward = Owner.method(method.name, method);
    const bound = {
      [method.name]: (...args: unknown[]): unknown => Reflect.apply(forward, handle, args) as unknown,
    }[method.name] as AnyFunction;
    functions.set(method, bound);
    originals.set(bound, method);
    return bound;
  }
}

/** A class, or a function that is used as one: it is a value, not a method. */
export function isConstructor(value: AnyFunction): boolean {
  const own = Object.getOwnPropertyDescriptor(value, "prototype");
  if (own === undefined) return false;
  return own.writable !== true || (isObject(own.value) && Reflect.ownKeys(own.value).length > 1);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
