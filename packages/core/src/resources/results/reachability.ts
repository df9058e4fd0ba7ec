import { isObjectLike } from "../../errors/user-values.js";
import { isConstructor, sourceOf } from "./function-wrappers.js";

/** Whether the kind of a value depends on its members: a literal or an array. */
export function isPlain(value: object): boolean {
  let prototype: object | null;
  try {
    prototype = Object.getPrototypeOf(value) as object | null;
  } catch {
    return true; // a revoked proxy
  }
  return prototype === null || prototype === Object.prototype || prototype === Array.prototype;
}

/** The properties of the objects of a class, read from its source. */
interface ClassInfo {
  readonly hasMethods: boolean;
  readonly hasAccessors: boolean;
  /** Whether their methods or accessors use private members, which may hold any object. */
  readonly hasPrivateMembers: boolean;
  /** Whether its own class and the platform accept a proxy of one. */
  readonly takesFacade: boolean;
}

const classes = new WeakMap<object, ClassInfo>();

/** Of an object that is not plain. */
export function classOf(value: object): ClassInfo {
  const prototype = Object.getPrototypeOf(value) as object;
  let info = classes.get(prototype);
  if (info === undefined) classes.set(prototype, (info = readClass(prototype)));
  return info;
}

/**
 * Whether the methods of `value` may return an object that needs the handle, as `client.db().find()` does. They may if
 * `value` has private members, or a field that leads to a `live` object or a function. False for classes that would not
 * accept a facade. These are classes of the platform, and classes that read private members of other objects than `this`
 * (`#x in other`, `other.#x`).
 */
export function canReachHandle(
  value: object,
  live: (member: object) => boolean,
  budget: { left: number } = { left: 64 },
  depth = 4,
): boolean {
  const { hasPrivateMembers, takesFacade } = classOf(value);
  return takesFacade && (hasPrivateMembers || (depth > 0 && hasLiveMember(value, live, budget, depth)));
}

function hasLiveMember(
  value: object,
  live: (member: object) => boolean,
  budget: { left: number },
  depth: number,
): boolean {
  for (const key in value) {
    const own = Object.getOwnPropertyDescriptor(value, key);
    if (own === undefined) continue; // of its class
    if ((budget.left -= 1) < 0) return false;
    const member: unknown = own.value;
    if (typeof member === "function") {
      if (!isConstructor(member)) return true;
      continue;
    }
    if (!isObjectLike(member)) continue;
    if (live(member)) return true;
    if (Array.isArray(member) || isPlain(member)) {
      if (depth > 1 && hasLiveMember(member, live, budget, depth - 1)) return true;
      continue;
    }
    if (canReachHandle(member, live, budget, depth - 1)) return true;
  }
  return false;
}

function readClass(prototype: object): ClassInfo {
  let [methods, accessors, privateMembers, takesFacade] = [false, false, false, true];
  for (let at: object | null = prototype; at !== null; at = Object.getPrototypeOf(at) as object | null) {
    if (Object.getPrototypeOf(at) === null) break; // what every object has
    const made: unknown = Object.getOwnPropertyDescriptor(at, "constructor")?.value;
    const source = typeof made === "function" ? sourceOf(made) : "";
    const owners = Array.from(source.matchAll(privateAccess), ([, written, lowered]) => written ?? lowered);
    const name = (made as { name?: unknown } | undefined)?.name; // a prototype may have no constructor
    takesFacade &&= !native.test(source) && !inside.test(source);
    takesFacade &&= owners.every((owner) => owner === "this" || owner === name);
    privateMembers ||= owners.length > 0;
    for (const key of Reflect.ownKeys(at)) {
      const own = Object.getOwnPropertyDescriptor(at, key) as PropertyDescriptor;
      methods ||= key !== "constructor" && typeof own.value === "function";
      accessors ||= typeof key === "string" && "get" in own;
    }
  }
  const hasPrivateMembers = privateMembers && (methods || accessors);
  return { hasMethods: methods, hasAccessors: accessors, hasPrivateMembers, takesFacade };
}

const native = /\{\s*\[native code\]\s*\}\s*$/;
const inside = /#[\w$]+\s+in\b/;
/** As it is written, and as TypeScript, esbuild and SWC make it for older engines. */
const privateAccess =
  /([\w$)\]]+)\s*\??\.\s*#[\w$]|(?:__classPrivateFieldGet|__privateGet|_class_private_field_get)\s*\(\s*([\w$]+)/g;
