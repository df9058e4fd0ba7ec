import { isObject } from "../../errors/user-values.js";
import { Mark } from "../../kernel/object-marks.js";
import { MAX_DEPTH, MAX_MEMBERS } from "../constants.js";

/**
 * The objects that were passed to the methods of one handle as arguments. If a method returns one, it belongs to the
 * caller and holds nothing.
 *
 * An object that is always passed on as it is has this object as its mark.
 */
export class CallerObjects {
  /** The mark of the objects that are looked at again when they are passed again. */
  readonly #again: object = {};
  /** The objects with another mark, and those that can't be marked. */
  #others: WeakSet<object> | undefined;

  /** Adds an object that is converted when it is passed itself, or whose members may change. */
  add(value: object): void {
    const mark = Mark.of(value);
    if (mark === undefined) this.#tryToMark(value, this.#again);
    else if (mark !== this && mark !== this.#again) this.#addToOthers(value);
  }

  /**
   * Adds an object that is passed on as it is, always.
   *
   * @param mark - Its mark.
   */
  addUnchanging(value: object, mark: object | undefined): void {
    if (mark === undefined) {
      if (canMarkFrozen)
        new Mark(value, this); // A `try` block would double the time.
      else this.#tryToMark(value, this);
    } else if (mark === this.#again) Mark.replace(value, this);
    else if (mark !== this) this.#addToOthers(value);
  }

  has(value: object): boolean {
    const mark = Mark.of(value);
    return mark === this || mark === this.#again || this.#others?.has(value) === true;
  }

  #tryToMark(value: object, mark: object): void {
    if (this.#others?.has(value) === true) return;
    try {
      new Mark(value, mark);
    } catch {
      this.#addToOthers(value); // engines may refuse private members on objects that are not extensible, or of another origin
    }
  }

  #addToOthers(value: object): void {
    (this.#others ??= new WeakSet()).add(value);
  }
}

const canMarkFrozen = /* @__PURE__ */ marksFrozen();

function marksFrozen(): boolean {
  try {
    return new Mark(Object.freeze({}), {}) instanceof Object;
  } catch {
    return false;
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
    if (typeof member === "number" || typeof member === "string" || !isObject(member)) continue;
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
    if (!isObject(member)) continue;
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
    if (isObject(member)) left = recordMember(given, member, left, depth);
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
