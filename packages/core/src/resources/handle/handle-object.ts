import { isObject } from "../../errors/user-values.js";
import { isOptedOutOfHold } from "../../kernel/timer-hold.js";
import type { ScopeNode } from "../../kernel/node.js";
import { ProcessHold } from "../../kernel/process-hold.js";
import { ExistingObject } from "../../kernel/object-marks.js";
import type { AnyFunction } from "../results/function-wrappers.js";
import { Results, HandleRef, type Convert } from "../results/handle-ref.js";

/**
 * An own property of handles, to find the handle of a Proxy, a reactive wrapper or `Object.create(handle)`, which have
 * no access to private members. Its value is a function, since reactive wrappers wrap every object that they return.
 */
export const handleKey: unique symbol = Symbol("bough.handle");

/** The keys that only a handle has. */
export const handleOnlyKeys: ReadonlySet<PropertyKey> = new Set([
  handleKey,
  Symbol.asyncDispose,
  Symbol.dispose,
]);

function makeRef(owner: object, inner: object, node: ScopeNode): HandleRef {
  const process = isOptedOutOfHold(node) ? new ProcessHold(node) : undefined;
  return new HandleRef(owner, inner, new Results(), HandleObject.factory.convert, process);
}

/** The functions of handle-class.ts that this module calls. */
export interface HandleFactory {
  /** Creates another handle for the same inner object. */
  readonly copy: (inner: object, node: ScopeNode) => HandleObject;
  /** Converts a result of a method. */
  readonly convert: Convert;
}

/** The fields that few handles need. */
class Extras {
  /** The functions that callers get for functions in fields. */
  functions: WeakMap<AnyFunction, AnyFunction> | undefined = undefined;
  /** A weak handle is its own. */
  weakHandle: HandleObject | undefined = undefined;
  received: WeakMap<HandleObject, HandleObject> | undefined = undefined;
}

function self(this: HandleObject): HandleObject {
  return this;
}

/** The prototypes of all handles. An object with any other prototype is not a handle. */
export const handlePrototypes: WeakSet<object> = new WeakSet();

let lastSerial = 0;

/**
 * The base class of the handles of `selfCleaning`. A handle points at the inner object and at the scope's node, and
 * neither points back (rule 19).
 */
export class HandleObject extends ExistingObject {
  readonly #inner: object;
  readonly #node: ScopeNode;
  readonly #serial = (lastSerial += 1);
  #ref: HandleRef | undefined;
  #extras: Extras | undefined;

  /** Set with the first handle. */
  static factory: HandleFactory;

  constructor(inner: object, node: ScopeNode, proxy?: object) {
    super(proxy);
    this.#inner = inner;
    this.#node = node;
    // It takes half of the memory of a closure and its context.
    const value = self.bind(this);
    Object.defineProperty(this, handleKey, { value, writable: true, configurable: true });
  }

  static nodeOf(value: unknown): ScopeNode | undefined {
    return isObject(value) && #node in value ? value.#node : undefined;
  }

  /** Without the check `#inner in value`, which would be a second look-up in every call. */
  static innerOf(value: unknown): object | undefined {
    try {
      return (value as HandleObject).#inner;
    } catch {
      return undefined;
    }
  }

  static isHandle(value: object): value is HandleObject {
    return #inner in value;
  }

  /** The handle that `value` is, wraps, or inherits from. */
  static handleOf(value: unknown): HandleObject | undefined {
    if (!isObject(value)) return undefined;
    if (#inner in value) return value;
    const found: unknown = Reflect.get(value, handleKey);
    if (typeof found !== "function") return undefined;
    const owner: unknown = Reflect.apply(found, undefined, []);
    return isObject(owner) && #inner in owner ? owner : undefined;
  }

  /** Whether the handle is frozen. Freezing affects only data properties, so this checks one. */
  static isFrozen(owner: HandleObject): boolean {
    return (
      !Object.isExtensible(owner) && Object.getOwnPropertyDescriptor(owner, handleKey)?.writable === false
    );
  }

  static refOf(owner: HandleObject): HandleRef {
    return (owner.#ref ??= makeRef(owner, owner.#inner, owner.#node));
  }

  static existingRef(owner: HandleObject): HandleRef | undefined {
    return owner.#ref;
  }

  static #extrasOf(owner: HandleObject): Extras {
    return (owner.#extras ??= new Extras());
  }

  static functionsOf(owner: HandleObject): WeakMap<AnyFunction, AnyFunction> {
    return (HandleObject.#extrasOf(owner).functions ??= new WeakMap());
  }

  static isYounger(owner: HandleObject, other: HandleObject): boolean {
    return owner.#serial > other.#serial;
  }

  /** Creates another handle for the object of `owner`. Its collection has no effect. */
  static copyOf(owner: HandleObject): HandleObject {
    return HandleObject.factory.copy(owner.#inner, owner.#node);
  }

  /**
   * The weak handle that the inner object of `host` receives for the handle `guest`. It looks like `guest` and does not
   * keep it alive. Instead, `host` keeps `guest` alive as long as the inner object keeps the weak handle. So two
   * objects may hold each other's handles, and both are collected when both are dropped.
   */
  static weakHandleFor(host: HandleObject, guest: HandleObject): HandleObject {
    const extras = HandleObject.#extrasOf(guest);
    let weak = extras.weakHandle;
    if (weak === guest) return guest;
    if (weak === undefined) {
      weak = extras.weakHandle = HandleObject.copyOf(guest);
      HandleObject.#extrasOf(weak).weakHandle = weak;
    }
    (HandleObject.#extrasOf(host).received ??= new WeakMap()).set(weak, guest);
    return weak;
  }

  /** The handle that `host` received, for the weak handle of its inner object. Returns any other handle unchanged. */
  static originalOf(host: HandleObject, value: HandleObject): HandleObject {
    return value.#extras?.weakHandle === value ? (host.#extras?.received?.get(value) ?? value) : value;
  }
}
