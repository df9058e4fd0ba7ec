import { describe } from "../../errors/describe.js";
import { inspectCustom } from "../../kernel/scope.js";
import type { ScopeNode } from "../../kernel/node.js";
import { closeAndWait, closeByOwner, expectDisposal } from "../../task/close.js";
import { MAX_BUILDS, MAX_FIELDS } from "../constants.js";
import { forwardMethod, readField, writeField } from "./forwarded-members.js";
import { isConstructor } from "../results/function-wrappers.js";
import {
  assignedNames,
  assigns,
  GrowingFields,
  isObjectPrototype,
  mayGrow,
  membersAssign,
  shownFields,
  syncFields,
} from "./late-fields.js";
import { toCaller } from "../results/results.js";
import { handleKey, HandleObject, handlePrototypes, type HandleFactory } from "./handle-object.js";

/** A class of handles that looks like one class of inner objects. */
interface Wrapper {
  readonly construct: new (inner: object, node: ScopeNode, proxy?: object) => HandleObject;
  /** The descriptors of own fields, created once so that handles share their shape. */
  readonly fields: Map<PropertyKey, PropertyDescriptor>;
  /** Whether its objects may get fields later. */
  grows: boolean;
  /** How many more `build` functions to check. */
  buildsLeft: number;
}

/** The wrappers by the prototype of the inner object. */
const wrappers = new WeakMap<object, Wrapper>();

/** Creates the handle of `inner`: an object that looks like it and references it. */
export function createHandle(inner: object, node: ScopeNode, build?: unknown): HandleObject {
  HandleObject.factory = factory; // not at load: bundlers keep code with side effects at load, even if it is unused
  const prototype = Object.getPrototypeOf(inner) as object | null;
  const isLiteral = prototype === null || isObjectPrototype(prototype);
  let wrapper = prototype === null ? undefined : wrappers.get(prototype);
  if (wrapper === undefined) {
    const grows = !isLiteral && mayGrow(inner);
    wrapper = { construct: wrapperClass(prototype), fields: new Map(), grows, buildsLeft: MAX_BUILDS };
    if (prototype !== null) wrappers.set(prototype, wrapper);
    Object.keys(inner); // from now on V8 has a list of the names, also of objects without any
  }
  const { construct, fields } = wrapper;
  // Both together take half of the time of `Reflect.ownKeys`.
  const names = Object.getOwnPropertyNames(inner);
  const symbols = Object.getOwnPropertySymbols(inner);
  const grows = isLiteral
    ? membersAssign(inner, names) || membersAssign(inner, symbols) || assigns(inner, build)
    : growsLater(wrapper, inner, build);
  let handle: HandleObject;
  if (grows) {
    const shell = Object.create(construct.prototype as object) as object;
    const traps = new GrowingFields(inner, (at, from, key) => defineField(at, from, key, fields));
    handle = new construct(inner, node, new Proxy(shell, traps));
  } else handle = new construct(inner, node);
  for (const key of names) defineField(handle, inner, key, fields);
  for (const key of symbols) {
    if (key === Symbol.asyncDispose) continue; // the handle has its own
    if (key === Symbol.dispose)
      Object.defineProperty(handle, key, { value: disposeWithoutWaiting, configurable: true });
    else defineField(handle, inner, key, fields);
  }
  if (!Object.isExtensible(inner)) copyExtensibility(handle, inner);
  return handle;
}

const factory: HandleFactory = { copy: createHandle, convert: toCaller };

function compareFields(owner: HandleObject): void {
  const inner = HandleObject.innerOf(owner) as object;
  syncFields(owner, inner, defineField);
}

function growsLater(wrapper: Wrapper, inner: object, build: unknown): boolean {
  if (wrapper.grows || wrapper.buildsLeft === 0 || build === undefined) return wrapper.grows;
  wrapper.buildsLeft -= 1;
  return (wrapper.grows = assigns(inner, build));
}

/** Freezes, seals or closes the handle like its inner object. */
function copyExtensibility(handle: HandleObject, inner: object): void {
  if (Object.isFrozen(inner)) Object.freeze(handle);
  else if (Object.isSealed(inner)) Object.seal(handle);
  else Object.preventExtensions(handle);
}

function wrapperClass(prototype: object | null): Wrapper["construct"] {
  class Handle extends HandleObject {}
  const shown = Handle.prototype;
  handlePrototypes.add(shown);
  Reflect.deleteProperty(shown, "constructor");
  const assigned = assignedNames(prototype);
  for (
    let at = prototype;
    at !== null && !isObjectPrototype(at);
    at = Object.getPrototypeOf(at) as object | null
  ) {
    for (const key of Reflect.ownKeys(at)) {
      const descriptor = Object.getOwnPropertyDescriptor(at, key);
      if (descriptor === undefined || Object.hasOwn(shown, key)) continue;
      Object.defineProperty(shown, key, forward(key, descriptor, prototype as object, assigned));
    }
  }
  const disposers: PropertyDescriptorMap = {
    [Symbol.asyncDispose]: { get: getDisposer, configurable: true },
  };
  if (Object.hasOwn(shown, Symbol.dispose)) disposers[Symbol.dispose] = { value: disposeWithoutWaiting };
  if (!Object.hasOwn(shown, inspectCustom)) disposers[inspectCustom] = { value: showInner };
  Object.defineProperties(shown, disposers);
  // `instanceof` finds the class behind the proxy; a call finds its method before it.
  Object.setPrototypeOf(shown, new Proxy(Object.create(prototype) as object, lateMembers));
  return Handle;
}

function forward(
  key: string | symbol,
  descriptor: PropertyDescriptor,
  prototype: object,
  assigned: ReadonlySet<PropertyKey>,
): PropertyDescriptor {
  const { value, enumerable = false } = descriptor as { value?: unknown; enumerable?: boolean };
  if (typeof value !== "function") return field(key, descriptor, prototype);
  const method = isConstructor(value) ? value : forwardMethod(key, value, prototype, assigned.has(key));
  return { value: method, writable: true, configurable: true, enumerable };
}

/** @param ofClass - The prototype that has the member. Read through another object, it is that object's. */
function field(key: PropertyKey, original: PropertyDescriptor, ofClass?: object): PropertyDescriptor {
  const made: PropertyDescriptor = { configurable: true, enumerable: original.enumerable ?? false };
  const read = function (this: unknown): unknown {
    return readField(this, key, ofClass);
  };
  made.get = read;
  shownFields.add(read);
  if (original.get !== undefined && original.set === undefined) return made;
  made.set = function (this: unknown, value: unknown): void {
    if (!writeField(this, key, value, ofClass))
      throw new TypeError(`Cannot assign to ${String(key)}: it is read-only`);
  };
  return made;
}

function defineField(
  handle: object,
  inner: object,
  key: PropertyKey,
  fields?: Map<PropertyKey, PropertyDescriptor>,
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
 * The prototype below the forwarded members. It handles members that did not exist when the handle was created: later
 * fields of the inner object, and later methods of its class.
 */
const lateMembers: ProxyHandler<object> = {
  get(target, key, receiver): unknown {
    if (key === handleKey) return undefined;
    const owner = HandleObject.handleOf(receiver);
    if (owner === undefined) return Reflect.get(target, key, receiver);
    const inner = HandleObject.innerOf(owner) as object;
    if (key === "toJSON") compareFields(owner); // `JSON.stringify` reads `toJSON` before it lists the keys
    if (isInherited(key, inner)) return Reflect.get(target, key, receiver);
    if (Object.hasOwn(inner, key) && Object.isExtensible(owner)) defineField(owner, inner, key);
    return readField(receiver, key);
  },
  set(target, key, value, receiver): boolean {
    if (key === handleKey) return Reflect.set(target, key, value, receiver);
    const owner = HandleObject.handleOf(receiver);
    if (owner === undefined) return Reflect.set(target, key, value, receiver);
    const inner = HandleObject.innerOf(owner) as object;
    const isKnown = key in inner; // a member of the class, or a later field
    if (!isKnown && !Object.isExtensible(owner)) return false;
    const done = writeField(receiver, key, value);
    if (done && Object.isExtensible(owner)) defineField(owner, inner, key);
    return done;
  },
};

/** Whether a member is inherited from Object, such as `toString`, which works on the handle itself. */
function isInherited(key: PropertyKey, inner: object): boolean {
  return key in Object.prototype && Reflect.get(inner, key) === Reflect.get(Object.prototype, key);
}

/** As with a `ScopeHandle`, a caller that reads the method will call it. */
function getDisposer(this: object): () => Promise<void> {
  const node = HandleObject.nodeOf(HandleObject.handleOf(this));
  if (node !== undefined) expectDisposal(node);
  return disposeHandle;
}

async function disposeHandle(this: unknown): Promise<void> {
  const owner = HandleObject.handleOf(this);
  if (owner === undefined) {
    throw new TypeError(
      `[Symbol.asyncDispose] of a selfCleaning() handle must be called on the handle, got ${describe(this)} as its this`,
    );
  }
  return closeAndWait(HandleObject.nodeOf(owner) as ScopeNode, "dispose", owner);
}

/** `using` can't wait: the inner object is disposed of once the workers have stopped. */
function disposeWithoutWaiting(this: object): void {
  closeByOwner(HandleObject.nodeOf(HandleObject.handleOf(this)) as ScopeNode);
}

function showInner(this: object): unknown {
  return HandleObject.innerOf(HandleObject.handleOf(this));
}
