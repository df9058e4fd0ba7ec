import { inspectCustom } from "../kernel/scope.js";
import type { ScopeNode } from "../kernel/node.js";
import { isConstructor, Owner } from "./owner.js";
import { closeAndWait, closeByOwner } from "../task/handle.js";

/** A class of handles: what it needs to look like the objects of one class. */
interface Wrapper {
  readonly construct: new (inner: object, node: ScopeNode) => Owner;
  /** The descriptors of own fields, made once so that handles share their shape. */
  readonly fields: Map<PropertyKey, PropertyDescriptor>;
}

/** By the prototype of the inner object. */
const wrappers = new WeakMap<object, Wrapper>();
/** Objects used as dictionaries have keys without end. */
const MAX_FIELDS = 1_000;

/** Makes the handle of `inner`: an object that looks like it, and points at it. */
export function createHandle(inner: object, node: ScopeNode): object {
  const prototype = Object.getPrototypeOf(inner) as object | null;
  let wrapper = prototype === null ? undefined : wrappers.get(prototype);
  if (wrapper === undefined) {
    wrapper = { construct: wrapperClass(prototype), fields: new Map() };
    if (prototype !== null) wrappers.set(prototype, wrapper);
  }
  const handle = new wrapper.construct(inner, node);
  for (const key of Reflect.ownKeys(inner)) {
    if (key === Symbol.asyncDispose) continue; // the handle has its own
    if (key === Symbol.dispose) Object.defineProperty(handle, key, { value: disposeWithoutWaiting });
    else defineField(handle, inner, key, wrapper.fields);
  }
  return handle;
}

function wrapperClass(prototype: object | null): Wrapper["construct"] {
  class Handle extends Owner {}
  const shown = Handle.prototype;
  Reflect.deleteProperty(shown, "constructor");
  for (
    let at = prototype;
    at !== null && !isObjectPrototype(at);
    at = Object.getPrototypeOf(at) as object | null
  ) {
    for (const key of Reflect.ownKeys(at)) {
      const descriptor = Object.getOwnPropertyDescriptor(at, key);
      if (descriptor === undefined || Object.hasOwn(shown, key)) continue;
      Object.defineProperty(shown, key, forward(key, descriptor));
    }
  }
  const disposers: PropertyDescriptorMap = {
    [Symbol.asyncDispose]: { value: disposeHandle, writable: true, configurable: true },
  };
  if (Object.hasOwn(shown, Symbol.dispose)) disposers[Symbol.dispose] = { value: disposeWithoutWaiting };
  if (!Object.hasOwn(shown, inspectCustom)) disposers[inspectCustom] = { value: showInner };
  Object.defineProperties(shown, disposers);
  // `instanceof` finds the class behind the proxy; a call finds its method before it.
  Object.setPrototypeOf(shown, new Proxy(Object.create(prototype) as object, latecomers));
  return Handle;
}

function forward(key: string | symbol, descriptor: PropertyDescriptor): PropertyDescriptor {
  const { value, enumerable = false } = descriptor as { value?: unknown; enumerable?: boolean };
  if (typeof value !== "function") return field(key, descriptor);
  const method = isConstructor(value) ? value : Owner.method(key, value);
  return { value: method, writable: true, configurable: true, enumerable };
}

function field(key: PropertyKey, original: PropertyDescriptor): PropertyDescriptor {
  const made: PropertyDescriptor = { configurable: true, enumerable: original.enumerable ?? false };
  made.get = function (this: Owner): unknown {
    return Owner.get(this, key);
  };
  if (original.get !== undefined && original.set === undefined) return made;
  made.set = function (this: Owner, value: unknown): void {
    if (!Owner.set(this, key, value)) throw new TypeError(`Cannot assign to ${String(key)}: it is read-only`);
  };
  return made;
}

function defineField(
  handle: object,
  inner: object,
  key: PropertyKey,
  fields: Map<PropertyKey, PropertyDescriptor> | undefined,
): void {
  const own = Object.getOwnPropertyDescriptor(inner, key);
  if (own === undefined) return;
  const known = fields?.get(key);
  if (known !== undefined && known.enumerable === own.enumerable) {
    Object.defineProperty(handle, key, known);
    return;
  }
  const made = field(key, own);
  if (fields !== undefined && fields.size < MAX_FIELDS) fields.set(key, made);
  Object.defineProperty(handle, key, made);
}

/**
 * Stands behind the forwarded members, so only what was not there when the handle was made comes here: fields
 * that the inner object got later, and methods that its class did.
 */
const latecomers: ProxyHandler<object> = {
  get(target, key, receiver): unknown {
    const inner = Owner.innerOf(receiver);
    if (inner === undefined || isInherited(key, inner)) return Reflect.get(target, key, receiver);
    if (Object.hasOwn(inner, key)) defineField(receiver as object, inner, key, undefined);
    return Owner.get(receiver as Owner, key);
  },
  set(target, key, value, receiver): boolean {
    if (Owner.innerOf(receiver) === undefined) return Reflect.set(target, key, value, receiver);
    const done = Owner.set(receiver as Owner, key, value);
    if (done) defineField(receiver as object, Owner.innerOf(receiver) as object, key, undefined);
    return done;
  },
};

/** `toString`, `hasOwnProperty` and their like work on the handle as they do on any object. */
function isInherited(key: PropertyKey, inner: object): boolean {
  return key in Object.prototype && Reflect.get(inner, key) === Reflect.get(Object.prototype, key);
}

/** Of any realm. */
function isObjectPrototype(object: object): boolean {
  return Object.getPrototypeOf(object) === null && Object.hasOwn(object, "hasOwnProperty");
}

function disposeHandle(this: object): Promise<void> {
  return closeAndWait(Owner.nodeOf(this) as ScopeNode, "dispose", this);
}

/** `using` can't wait; the inner object's own disposal comes when the workers have stopped. */
function disposeWithoutWaiting(this: object): void {
  closeByOwner(Owner.nodeOf(this) as ScopeNode, undefined);
}

function showInner(this: object): unknown {
  return Owner.innerOf(this);
}
