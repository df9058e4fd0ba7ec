import { MAX_LENGTHS, MAX_OF_LENGTH } from "../constants.js";
import { handleKey, handleOnlyKeys } from "./handle-object.js";
import { sourceOf, type AnyFunction } from "../results/function-wrappers.js";

/**
 * Whether an object of a class may get fields after its constructor has run. Only a Proxy can answer `in` and list keys
 * for another object, and a Proxy makes each call of a method five to ten times slower. So a handle is a Proxy only if
 * the source code of the class assigns to a field that a new object does not have. A handle that is needlessly a Proxy
 * is slower. A handle that should be a Proxy and is not updates its keys less often. This happens when an unknown field
 * is read, and when the handle is converted to JSON.
 */
export function mayGrow(inner: object): boolean {
  for (
    let at = inner as object | null;
    at !== null && !isObjectPrototype(at);
    at = Object.getPrototypeOf(at) as object | null
  ) {
    if (membersAssign(inner, Reflect.ownKeys(at), at)) return true;
  }
  return false;
}

/** Whether a member of `holder`, one of `keys`, assigns to a field that `inner` does not have. */
export function membersAssign(inner: object, keys: readonly PropertyKey[], holder: object = inner): boolean {
  for (const key of keys) {
    const { value, get, set } = (Object.getOwnPropertyDescriptor(holder, key) ?? {}) as Member;
    if (assigns(inner, value, true) || assigns(inner, get, true) || assigns(inner, set, true)) return true;
  }
  return false;
}

/** Whether an object is `Object.prototype`, of any realm. */
export function isObjectPrototype(object: object): boolean {
  return Object.getPrototypeOf(object) === null && Object.hasOwn(object, "hasOwnProperty");
}

interface Member {
  readonly value?: unknown;
  readonly get?: unknown;
  readonly set?: unknown;
}

/** An assignment to a field, of `this` or its usual copies, or of any other expression. */
const assignment =
  /(?:\b(this|self|that|_this)|[\w$)\]])\s*\.\s*([\w$]+)\s*(?:(?:\*\*|<<|>>>?|&&|\|\||\?\?|[-+*/%&|^])?=(?![=>])|\+\+|--)/g;
/** Assignments by a computed name or a built-in function, and removals of fields. */
const computed =
  /\bthis\s*\[[^\]]*\]\s*(?:(?:\*\*|<<|>>>?|&&|\|\||\?\?|[-+*/%&|^])?=(?![=>])|\+\+|--)|\b(?:assign|definePropert(?:y|ies)|deleteProperty)\s*\(\s*this\b|\bdelete\s+this\b/;

/** The names to which a class assigns. A method of such a name may be replaced in an object. */
export function assignedNames(prototype: object | null): ReadonlySet<PropertyKey> {
  const names = new Set<PropertyKey>();
  for (
    let at = prototype;
    at !== null && !isObjectPrototype(at);
    at = Object.getPrototypeOf(at) as object | null
  ) {
    for (const { value } of Object.values(Object.getOwnPropertyDescriptors(at)) as { value?: unknown }[]) {
      if (typeof value !== "function") continue;
      for (const name of assignmentsOf(value).own) names.add(name);
    }
  }
  return names;
}

/**
 * Whether a function assigns to a field that `inner` does not have.
 *
 * @param isOwn - Whether `code` is a member of the object. Another function, such as `build` with the workers in it, may
 *   use any name for the object.
 */
export function assigns(inner: object, code: unknown, isOwn = false): boolean {
  if (typeof code !== "function") return false;
  const { own, any, isComputed } = assignmentsOf(code);
  if (isOwn && isComputed) return true;
  for (const name of isOwn ? own : any) if (!(name in inner)) return true;
  return false;
}

/** The assignments in a source. */
interface Assignments {
  readonly source: string;
  /** The names of the fields that are assigned to by `this` or its usual copies. */
  readonly own: string[];
  /** The names of the fields that are assigned to by any expression. */
  readonly any: string[];
  readonly isComputed: boolean;
}

/**
 * By the length of the source. A literal has other functions each time it is evaluated, with the same sources. To
 * compare two of these takes a tenth of the time of a search, and less than their hashes would.
 */
const knownAssignments = new Map<number, Assignments[]>();

function assignmentsOf(code: AnyFunction): Assignments {
  const source = sourceOf(code);
  let known = knownAssignments.get(source.length);
  if (known === undefined) {
    if (knownAssignments.size === MAX_LENGTHS) knownAssignments.clear();
    knownAssignments.set(source.length, (known = []));
  }
  for (const each of known) if (each.source === source) return each;
  if (known.length === MAX_OF_LENGTH) known.length = 0;
  const found: Assignments = { source, own: [], any: [], isComputed: computed.test(source) };
  for (const [, self, name = ""] of source.matchAll(assignment)) {
    found.any.push(name);
    if (self !== undefined) found.own.push(name);
  }
  known.push(found);
  return found;
}

/** The getters with which handles show the fields of their inner objects. */
export const shownFields: WeakSet<AnyFunction> = new WeakSet();

/** Defines a field of the inner object on its handle. */
export type ShowField = (handle: object, inner: object, key: PropertyKey) => void;

/** Copies the own keys of `inner` to `shell`. */
export function syncFields(shell: object, inner: object, show: ShowField): void {
  if (!Object.isExtensible(shell)) return;
  const keys = Reflect.ownKeys(inner);
  for (const key of keys) if (!handleOnlyKeys.has(key) && !Object.hasOwn(shell, key)) show(shell, inner, key);
  for (const key of Reflect.ownKeys(shell)) {
    if (handleOnlyKeys.has(key) || Object.hasOwn(inner, key)) continue;
    const getter: unknown = Reflect.get(Object.getOwnPropertyDescriptor(shell, key) ?? {}, "get");
    // Any other was defined from outside.
    if (typeof getter === "function" && shownFields.has(getter)) Reflect.deleteProperty(shell, key);
  }
}

/** The traps of a handle whose fields may change. There is none for reading a member, so calls are not slowed down. */
export class GrowingFields implements ProxyHandler<object> {
  readonly #inner: object;
  readonly #show: ShowField;

  constructor(inner: object, show: ShowField) {
    this.#inner = inner;
    this.#show = show;
  }

  has(shell: object, key: PropertyKey): boolean {
    this.#sync(shell);
    return Reflect.has(shell, key);
  }

  ownKeys(shell: object): (string | symbol)[] {
    this.#sync(shell);
    const keys = Reflect.ownKeys(shell);
    return Object.isExtensible(shell) ? keys.filter((key) => key !== handleKey) : keys;
  }

  getOwnPropertyDescriptor(shell: object, key: PropertyKey): PropertyDescriptor | undefined {
    this.#sync(shell);
    return Reflect.getOwnPropertyDescriptor(shell, key);
  }

  deleteProperty(shell: object, key: PropertyKey): boolean {
    if (!handleOnlyKeys.has(key) && Object.isExtensible(shell) && !Reflect.deleteProperty(this.#inner, key))
      return false;
    return Reflect.deleteProperty(shell, key);
  }

  #sync(shell: object): void {
    syncFields(shell, this.#inner, this.#show);
  }
}
