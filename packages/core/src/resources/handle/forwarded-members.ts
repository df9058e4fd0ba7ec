import { describe } from "../../errors/describe.js";
import { detached } from "../../errors/detach-stack.js";
import {
  hasOwnMembers,
  isConstructor,
  copyFunctionShape,
  originals,
  showMembersOf,
  wrapFunction,
  type AnyFunction,
} from "../results/function-wrappers.js";
import { convertArguments, mustConvert, toInner } from "../results/arguments.js";
import { toCaller } from "../results/results.js";
import { setPendingCallback } from "../../task/orphan.js";
import { HandleObject } from "./handle-object.js";

/** Stands for a method that can be in the object itself: no prototype has it. */
const unknownMethod = {};

/**
 * Creates a method of the class of handles. Its `this` is a handle, or an object that wraps one; it calls the method of
 * the inner object. With any other `this` (a method taken off its handle) it behaves like the original method.
 *
 * The method is looked up in each call, so that stubs work. It is first read from the prototype, which is a constant
 * here, so that V8 can check by itself whether it has changed. Only if it has is it read from the object.
 */
export function forwardMethod(
  name: string | symbol,
  method: AnyFunction,
  prototype: object,
  mayBeReplaced: boolean,
): AnyFunction {
  const readMember = memberReader(name);
  const expected: unknown = mayBeReplaced ? unknownMethod : method;
  const listens =
    typeof name === "string" &&
    /^(?:on|once|off|listen|watch|observe|subscribe|(?:add|remove)(?:Event)?Listener)$/.test(name);
  const forward = {
    [name](this: unknown, ...args: unknown[]): unknown {
      const inner = HandleObject.innerOf(this);
      const count = args.length;
      if (inner === undefined || count > 2) return callGeneral(this, args);
      // In variables: V8 allocates no array for `args` while it is only read and applied.
      const a = args[0];
      const b = args[1];
      let result: unknown;
      try {
        if (
          (isReference(a) && mustConvert(this as HandleObject, a)) ||
          (isReference(b) && mustConvert(this as HandleObject, b)) ||
          readMember(prototype, name) !== expected
        )
          return callGeneral(this, [a, b].slice(0, count));
        result = Reflect.apply(method, inner, args);
      } catch (error) {
        throw detached(error);
      }
      if (!listens) {
        if ((typeof result !== "object" || result === null) && typeof result !== "function") return result;
        if (result === inner) return this;
      }
      return convertResult(this as HandleObject, result, firstOf(count, a, b));
    },
  }[name as string] as AnyFunction;
  Object.defineProperty(forward, "length", { value: method.length, configurable: true });
  showMembersOf(prototype, name, method, forward);
  originals.set(forward, method);
  return forward;

  /** A call with a `this` that is not a handle itself, or with many arguments. */
  function callGeneral(self: unknown, args: unknown[]): unknown {
    const owner = HandleObject.handleOf(self);
    if (owner === undefined) return Reflect.apply(method, self, args);
    const inner = HandleObject.innerOf(owner) as object;
    convertArguments(HandleObject.refOf(owner), args);
    let result: unknown;
    try {
      const called = readMember(prototype, name) === expected ? method : currentMethod(inner, name);
      result = Reflect.apply(called, inner, args);
    } catch (error) {
      throw detached(error);
    }
    return result === inner && !listens ? self : convertResult(owner, result, args, self);
  }

  /** Converts the result of a call. */
  function convertResult(
    owner: HandleObject,
    result: unknown,
    args: readonly unknown[],
    self: unknown = owner,
  ): unknown {
    const isInner = result === HandleObject.innerOf(owner);
    if (listens && (result === undefined || isInner)) recordPendingCallback(owner, name, args);
    return isInner ? self : toCaller(HandleObject.refOf(owner), result, args);
  }
}

const noArguments: readonly unknown[] = [];

/** The arguments of a call with at most two. Most calls that return an object have none, and then allocate none. */
function firstOf(count: number, a: unknown, b: unknown): readonly unknown[] {
  if (count === 0) return noArguments;
  return count === 1 ? [a] : [a, b];
}

/**
 * Records a callback that does not keep the handle alive, for the warning: the method has accepted it and returned
 * nothing.
 */
function recordPendingCallback(owner: HandleObject, name: string | symbol, args: readonly unknown[]): void {
  const node = HandleObject.nodeOf(owner);
  if (node === undefined || !args.some((value) => typeof value === "function")) return;
  setPendingCallback(node, /^(?:off|remove)/.test(String(name)) ? undefined : String(name));
}

/** Numbers first: the engine recognises a small one without reading memory. */
function isReference(value: unknown): value is object {
  return (
    typeof value !== "number" &&
    ((typeof value === "object" && value !== null) || typeof value === "function")
  );
}

type ReadMember = (object: object, name: PropertyKey) => unknown;

const byKey: ReadMember = (object, name) => (object as Record<PropertyKey, unknown>)[name];
const readers = new Map<PropertyKey, ReadMember>();

/**
 * Returns a function that reads a member by name. In V8 before 13 (Node 20 and 22), reading by a variable name is slow
 * as soon as there are two names. So each name gets a generated function.
 */
function memberReader(name: PropertyKey): ReadMember {
  if (!isOldV8 || typeof name !== "string" || !/^[\w$]+$/.test(name) || readers.size > 10_000) return byKey;
  let readMember = readers.get(name);
  if (readMember === undefined) {
    try {
      // oxlint-disable-next-line typescript/no-implied-eval -- the name is checked above
      readMember = new Function("object", `return object[${JSON.stringify(name)}]`) as ReadMember;
    } catch {
      readMember = byKey; // the process was started with --disallow-code-generation-from-strings
    }
    readers.set(name, readMember);
  }
  return readMember;
}

interface Versions {
  readonly process?: { readonly versions?: { readonly v8?: string } };
}

const isOldV8 = /* @__PURE__ */ hasOldV8();

function hasOldV8(): boolean {
  return Number.parseInt((globalThis as Versions).process?.versions?.v8 ?? "99", 10) < 13;
}

function currentMethod(inner: object, name: PropertyKey): AnyFunction {
  const found: unknown = Reflect.get(inner, name);
  if (typeof found === "function") return found;
  throw new TypeError(`${String(name)} is no longer a function`);
}

/**
 * Reads a member through another object, as the language does: an accessor of a class runs with that object. The
 * accessor that shows a field can't find its handle then.
 */
function readThroughOther(self: unknown, key: PropertyKey, ofClass: object | undefined): unknown {
  if (self === undefined) return undefined; // a tool that called the getter by itself
  if (ofClass === undefined)
    throw new TypeError(
      `Cannot read ${String(key)}: it is a field of a selfCleaning() handle, and was read with another receiver (${describe(self)}); read it from the handle`,
    );
  return Reflect.get(ofClass, key, self);
}

/** Reads an accessor or a field. Its value is not the result of a call, so it does not keep the handle alive. */
export function readField(self: unknown, key: PropertyKey, ofClass?: object): unknown {
  const direct = HandleObject.innerOf(self);
  const owner = direct === undefined ? HandleObject.handleOf(self) : (self as HandleObject);
  const inner = direct ?? HandleObject.innerOf(owner);
  if (owner === undefined || inner === undefined) return readThroughOther(self, key, ofClass);
  let value: unknown;
  try {
    value = Reflect.get(inner, key);
  } catch (error) {
    throw detached(error);
  }
  if (value === inner) return self;
  if (typeof value === "function") return boundFunction(owner, value);
  if (typeof value !== "object" || value === null) return value;
  if (HandleObject.isHandle(value)) return HandleObject.originalOf(owner, value);
  return HandleObject.existingRef(owner)?.results.facades.get(value)?.deref() ?? value;
}

export function writeField(self: unknown, key: PropertyKey, value: unknown, ofClass?: object): boolean {
  const owner = HandleObject.handleOf(self);
  if (owner === undefined) return Reflect.set(ofClass ?? (Object.create(null) as object), key, value, self);
  if (HandleObject.isFrozen(owner)) return false;
  let converted = value;
  if (typeof value === "function") {
    const original = originals.get(value);
    if (original === undefined) HandleObject.functionsOf(owner).set(value, value);
    else converted = original;
  } else if (value === self) converted = HandleObject.innerOf(owner);
  else if (typeof value === "object" && value !== null) converted = toInner(HandleObject.refOf(owner), value);
  try {
    return Reflect.set(HandleObject.innerOf(owner) as object, key, converted);
  } catch (error) {
    throw detached(error);
  }
}

/**
 * Returns a function from a field or getter as a method that is bound to the handle. A caller that takes it off, as in
 * `const { get } = handle`, still holds the handle.
 */
function boundFunction(owner: HandleObject, method: AnyFunction): AnyFunction {
  const functions = HandleObject.functionsOf(owner);
  const known = functions.get(method);
  if (known !== undefined) return known;
  if (isConstructor(method)) return method;
  if (HandleObject.existingRef(owner)?.results.fromCaller.has(method) === true) return method;
  const inner = HandleObject.innerOf(owner) as object;
  const { name } = method;
  const bound = {
    [name](...args: unknown[]): unknown {
      for (let index = 0; index < args.length; index++) {
        const given = args[index];
        if (isReference(given) && mustConvert(owner, given))
          args[index] = toInner(HandleObject.refOf(owner), given);
      }
      let result: unknown;
      try {
        result = Reflect.apply(method, inner, args);
      } catch (error) {
        throw detached(error);
      }
      if (!isReference(result)) return result;
      return result === inner ? owner : toCaller(HandleObject.refOf(owner), result, args);
    },
  }[name] as AnyFunction;
  const shown = hasOwnMembers(method)
    ? wrapFunction(method, (_, args) => Reflect.apply(bound, undefined, args))
    : copyFunctionShape(method, bound);
  functions.set(method, shown);
  return shown;
}
