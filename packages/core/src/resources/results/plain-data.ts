import { isObject } from "../../errors/user-values.js";
import { scopeBrand } from "../../errors/brands.js";
import { MAX_MEMBERS } from "../constants.js";
import { handlePrototypes } from "../handle/handle-object.js";
import { endingMethods } from "./facades.js";
import { isPlatformData } from "./platform-objects.js";
import { classOf, isPlain } from "./reachability.js";

// Most results are rows, lists and literals. A look at their members tells that they hold nothing, before the dearer
// checks of `results.ts`.

/** The values of the members that are looked at. A getter runs. */
export function membersOf(value: object): unknown[] {
  const isList = Array.isArray(value);
  if (isList ? value.length <= MAX_MEMBERS : isPlain(value)) return Object.values(value);
  const members: unknown[] = [];
  if (isList) {
    for (let index = 0; index < MAX_MEMBERS; index++) {
      const member: unknown = value[index];
      if (member === undefined && !(index in value)) return Object.values(value); // few of its elements may be set
      members.push(member);
    }
  } else for (const key in value) members.push((value as Record<string, unknown>)[key]);
  return members;
}

/** The members of an array or a literal. `undefined` for another object, and for one that can't be read. */
export function plainMembers(value: object): unknown[] | undefined {
  try {
    return isPlain(value) ? membersOf(value) : undefined;
  } catch {
    return undefined; // a proxy, or a getter that throws
  }
}

/** The values of the fields of an object. None if a getter throws. */
export function valuesOf(value: object): unknown[] {
  try {
    return Object.values(value);
  } catch {
    return [];
  }
}

/** The field `body`, as a response has. `undefined` if its getter throws. Read by name, since `Reflect.get` takes longer. */
export function bodyOf(value: object): unknown {
  try {
    return (value as { body?: unknown }).body;
  } catch {
    return undefined;
  }
}

/**
 * Whether an object has only the primitive members `members`, so that it can't deliver anything. False for an empty one:
 * it may be a proxy that makes its members when they are read.
 */
export function hasOnlyPrimitives(value: object, members: readonly unknown[]): boolean {
  for (let index = 0; index < members.length; index++) {
    const member = members[index];
    if (typeof member === "number" || typeof member === "string") continue; // the frequent kinds first
    if (isObject(member)) return false;
  }
  if (Array.isArray(value)) return true;
  const { length } = members;
  return (
    length > 0 && Object.getOwnPropertyNames(value).length === length && !(Symbol.asyncIterator in value)
  );
}

/** The kind of the objects of a class. `data` and `itself` are those that have only primitive members. */
type ClassKind = "platform data" | "data" | "itself" | "other";

const classKinds = new WeakMap<object, ClassKind>();

/** The kind of an object with a class, if its class and a look at its members tell it. Not for a `Map` or a `Set`. */
export function simpleKindOf(value: object): "data" | "itself" | undefined {
  const prototype = Object.getPrototypeOf(value) as object;
  let kind = classKinds.get(prototype);
  if (kind === undefined) classKinds.set(prototype, (kind = kindOfClass(prototype, value)));
  if (kind === "other") return undefined;
  if (kind === "platform data") return "data";
  return hasOnlyPrimitives(value, valuesOf(value)) ? kind : undefined;
}

/** The members of classes whose objects may deliver values, or have a kind of their own. */
const specialMembers: readonly PropertyKey[] = [
  "then",
  "next",
  "on",
  "subscribe",
  "addEventListener",
  "releaseLock",
  "readable",
  "writable",
  Symbol.asyncIterator,
  scopeBrand,
];

function kindOfClass(prototype: object, value: object): ClassKind {
  if (isPlatformData(value)) return "platform data";
  const special = [...specialMembers, ...endingMethods].some((key) => key in prototype);
  if (special || handlePrototypes.has(prototype)) return "other";
  const { hasMethods, hasPrivateMembers, takesFacade } = classOf(value);
  if (!takesFacade || hasPrivateMembers) return "other";
  if (hasMethods) return "itself";
  for (const _ in prototype) return "other"; // an object without fields of its own may have this member
  return "data";
}
