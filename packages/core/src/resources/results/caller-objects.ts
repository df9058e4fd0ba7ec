import { MAX_DEPTH, MAX_MEMBERS } from "./reachability.js";

/** The base of classes that add private members to an existing object. */
export class ExistingObject {
  constructor(object?: object) {
    // eslint-disable-next-line no-constructor-return -- the purpose of this class
    if (object !== undefined) return object;
  }
}

/**
 * The objects that were passed to the methods of one handle as arguments. If a method returns one, it belongs to the
 * caller and holds nothing.
 *
 * An object is marked with a private member, which no code can see. For a new object this takes a tenth of the time of
 * a `WeakSet`.
 */
export class CallerObjects {
  /** The objects with the mark of another handle, and those that can't be marked. */
  #others: WeakSet<object> | undefined;

  add(value: object): void {
    if (Mark.isOf(value, this)) return;
    if (Mark.isMarked(value)) this.#addToOthers(value);
    else this.#mark(value);
  }

  has(value: object): boolean {
    return Mark.isOf(value, this) || this.#others?.has(value) === true;
  }

  /** The fast part of {@link has}. */
  isMarked(value: object): boolean {
    return Mark.isOf(value, this);
  }

  #addToOthers(value: object): void {
    (this.#others ??= new WeakSet()).add(value);
  }

  #mark(value: object): void {
    try {
      new Mark(value, this);
    } catch {
      this.#addToOthers(value); // engines may refuse private members on objects that are not extensible, or of another origin
    }
  }
}

class Mark extends ExistingObject {
  readonly #given: CallerObjects;

  constructor(value: object, given: CallerObjects) {
    super(value);
    this.#given = given;
  }

  static isMarked(value: object): boolean {
    return #given in value;
  }

  static isOf(value: object, given: CallerObjects): boolean {
    return #given in value && value.#given === given;
  }
}

/**
 * Records an array or a literal as the caller's, with the functions and objects in it. One that has only primitive
 * members is not recorded, since this would take longer than the call: it is returned as it is anyway.
 */
export function recordContainer(given: CallerObjects, value: object): void {
  try {
    if (Array.isArray(value)) recordElements(given, value, MAX_MEMBERS, MAX_DEPTH);
    else recordProperties(given, value, MAX_MEMBERS, MAX_DEPTH);
  } catch {
    // a proxy that throws
  }
}

/** Records a `Map` or a `Set` as the caller's, with the functions and objects in it. */
export function recordCollection(given: CallerObjects, value: object): void {
  given.add(value);
  try {
    recordValues(given, value as Collection, MAX_MEMBERS, MAX_DEPTH);
  } catch {
    // a proxy
  }
}

type Collection = ReadonlyMap<unknown, unknown> | ReadonlySet<unknown>;

/** @returns How many more members may be looked at. */
function recordElements(given: CallerObjects, array: unknown[], budget: number, depth: number): number {
  const count = Math.min(array.length, budget);
  let left = budget - count;
  let isOwn = count === 0;
  for (let index = 0; index < count; index++) {
    const member = array[index];
    // The frequent kinds first: this halves the time for long arrays.
    if (typeof member === "number" || typeof member === "string" || !isReference(member)) continue;
    isOwn = true;
    left = recordMember(given, member, left, depth);
  }
  if (isOwn) given.add(array);
  return left;
}

function recordProperties(given: CallerObjects, literal: object, budget: number, depth: number): number {
  let left = budget;
  let isOwn = true;
  for (const key in literal) {
    if (left === budget) isOwn = false;
    if ((left -= 1) < 0) break;
    const member: unknown = Object.getOwnPropertyDescriptor(literal, key)?.value;
    if (!isReference(member)) continue;
    isOwn = true;
    left = recordMember(given, member, left, depth);
  }
  if (isOwn) given.add(literal);
  return left;
}

function recordValues(given: CallerObjects, value: Collection, budget: number, depth: number): number {
  let left = budget;
  for (const member of value.values()) {
    if ((left -= 1) < 0) break;
    if (isReference(member)) left = recordMember(given, member, left, depth);
  }
  return left;
}

function recordMember(given: CallerObjects, member: object, left: number, depth: number): number {
  if (given.has(member)) return left;
  if (typeof member === "object" && depth > 1) {
    const prototype = Object.getPrototypeOf(member) as object | null;
    if (prototype === Array.prototype) return recordElements(given, member as unknown[], left, depth - 1);
    if (prototype === null || prototype === Object.prototype)
      return recordProperties(given, member, left, depth - 1);
    if (prototype === Map.prototype || prototype === Set.prototype) {
      given.add(member);
      return recordValues(given, member as Collection, left, depth - 1);
    }
  }
  given.add(member);
  return left;
}

function isReference(value: unknown): value is object {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}
