import { isOptedOutOfHold } from "../../kernel/long-timer.js";
import type { ScopeNode } from "../../kernel/node.js";
import { ProcessHold } from "../../kernel/process-hold.js";
import { Returning } from "../results/given.js";
import { Results, Lease, type Convert } from "../results/lease.js";

// eslint-disable-next-line @typescript-eslint/no-unsafe-function-type -- any function of a user's object
export type AnyFunction = Function;

/**
 * The own property by which a handle is found behind a Proxy, a reactive wrapper or `Object.create(handle)`: private
 * members are not seen there. A function, since reactive wrappers wrap every object that they give.
 */
export const handleKey: unique symbol = Symbol("bough.handle");

function makeLease(owner: object, inner: object, node: ScopeNode): Lease {
  const process = isOptedOutOfHold(node) ? new ProcessHold(node) : undefined;
  return new Lease(owner, inner, new Results(), HandleObject.looks.convert, process);
}

/** What the module that knows how handles look does for this one. */
export interface HandleLooks {
  /** Makes another handle for the same inner object. */
  readonly copy: (inner: object, node: ScopeNode) => HandleObject;
  /** Converts a result of a method. */
  readonly convert: Convert;
}

let made = 0;

/**
 * The base class of the handles of `selfCleaning`. A handle points at the inner object and at the scope's node, and
 * neither points back (rule 19).
 */
export class HandleObject extends Returning {
  readonly #inner: object;
  readonly #node: ScopeNode;
  readonly #serial = (made += 1);
  #lease: Lease | undefined;
  #functions: WeakMap<AnyFunction, AnyFunction> | undefined;
  #weakHandle: HandleObject | undefined;
  #isWeak = false;
  #received: WeakMap<HandleObject, HandleObject> | undefined;

  /** The prototypes of all handles: an object with another one is no handle. */
  static readonly prototypes: WeakSet<object> = new WeakSet();
  /** Set with the first handle. */
  static looks: HandleLooks;

  constructor(inner: object, node: ScopeNode, proxy?: object) {
    super(proxy);
    this.#inner = inner;
    this.#node = node;
    Object.defineProperty(this, handleKey, { value: () => this, writable: true, configurable: true });
  }

  static nodeOf(value: unknown): ScopeNode | undefined {
    return typeof value === "object" && value !== null && #node in value ? value.#node : undefined;
  }

  /** Without a look whether it is there (`#inner in value`), which is a second look-up in every call. */
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

  /** The handle that `value` is, stands before, or inherits from. */
  static behind(value: unknown): HandleObject | undefined {
    if (typeof value !== "object" || value === null) return undefined;
    if (#inner in value) return value;
    const found: unknown = Reflect.get(value, handleKey);
    if (typeof found !== "function") return undefined;
    const owner: unknown = Reflect.apply(found, undefined, []);
    return typeof owner === "object" && owner !== null && #inner in owner ? owner : undefined;
  }

  /** Whether writing to it is forbidden. Accessors can be written to in a frozen object: only a data property tells. */
  static isFrozen(owner: HandleObject): boolean {
    return (
      !Object.isExtensible(owner) && Object.getOwnPropertyDescriptor(owner, handleKey)?.writable === false
    );
  }

  static leaseOf(owner: HandleObject): Lease {
    return (owner.#lease ??= makeLease(owner, owner.#inner, owner.#node));
  }

  static knownLease(owner: HandleObject): Lease | undefined {
    return owner.#lease;
  }

  static functionsOf(owner: HandleObject): WeakMap<AnyFunction, AnyFunction> {
    return (owner.#functions ??= new WeakMap());
  }

  static isYounger(owner: HandleObject, other: HandleObject): boolean {
    return owner.#serial > other.#serial;
  }

  /** Another handle for the object of `owner`. It is not watched. */
  static copyOf(owner: HandleObject): HandleObject {
    return HandleObject.looks.copy(owner.#inner, owner.#node);
  }

  /**
   * The weak handle that the inner object of `host` gets for the handle `guest`. It looks like `guest`, and does not keep it
   * alive. `host` keeps `guest` alive as long as the inner object keeps the weak handle. So two objects may hold each
   * other's handle, and when both are dropped both are collected.
   */
  static weakHandleFor(host: HandleObject, guest: HandleObject): HandleObject {
    if (guest.#isWeak) return guest;
    let weak = guest.#weakHandle;
    if (weak === undefined) {
      weak = guest.#weakHandle = HandleObject.copyOf(guest);
      weak.#isWeak = true;
    }
    (host.#received ??= new WeakMap()).set(weak, guest);
    return weak;
  }

  /** The handle that `host` was given, for the weak handle that its inner object got. Any other handle is itself. */
  static originalOf(host: HandleObject, value: HandleObject): HandleObject {
    return value.#isWeak ? (host.#received?.get(value) ?? value) : value;
  }
}
