import { Mark, subjectOfMark } from "../../kernel/object-marks.js";
import type { HandleRef } from "./handle-ref.js";
import { HandleObject, handlePrototypes } from "../handle/handle-object.js";
import { recordCollection, recordContainer } from "./caller-objects.js";
import { isPlatformData } from "./platform-objects.js";
import { MAX_MEMBERS } from "../constants.js";

/**
 * Converts an argument that a caller passes to an inner object through its handle. The handle becomes the inner object,
 * a facade becomes its subject, and another handle becomes a weak handle of the same object. Every other value is
 * unchanged, and recorded as the caller's.
 */
export function toInner(ref: HandleRef, value: unknown): unknown {
  if ((typeof value !== "object" || value === null) && typeof value !== "function") return value;
  return convertReference(ref, value, Mark.of(value));
}

/** Whether {@link toInner} replaces an argument. Most have been recorded before: a frequent call inlines no more than that. */
export function mustConvert(owner: HandleObject, value: object): boolean {
  const ref = HandleObject.refOf(owner);
  const mark = Mark.of(value);
  return mark !== ref.results.fromCaller && convertReference(ref, value, mark) !== value;
}

/**
 * One function on purpose: V8 inlines a function of at most 460 bytecodes. If it inlined this one into the methods of
 * handles, these would be too large to be inlined into their callers. A call with a number would take five times as long.
 *
 * @param mark - The mark of `value`.
 */
function convertReference(ref: HandleRef, value: object, mark: object | undefined): object {
  const { fromCaller } = ref.results;
  if (mark !== undefined) {
    if (mark === fromCaller) return value;
    const subject = subjectOfMark(mark);
    if (subject !== undefined) {
      const isOwn = ref.results.facades.get(subject)?.deref() === value;
      if (isOwn && !HandleObject.isHandle(value)) return subject;
      if (typeof value === "function") return value;
    }
  }
  let kind: ArgumentKind | undefined = "own";
  if (typeof value === "object") {
    let prototype: object | null;
    try {
      prototype = Object.getPrototypeOf(value) as object | null;
    } catch {
      prototype = null; // a revoked proxy
    }
    // The frequent kinds first: the kind of a class takes a look-up.
    if (prototype === null || prototype === Object.prototype) {
      try {
        let left = MAX_MEMBERS;
        for (const key in value) {
          const member: unknown = Object.getOwnPropertyDescriptor(value, key)?.value;
          if ((typeof member === "object" && member !== null) || typeof member === "function") {
            left = MAX_MEMBERS;
            break;
          }
          if ((left -= 1) === 0) return value;
        }
        if (left < MAX_MEMBERS) return value;
      } catch {
        return value; // a proxy that throws
      }
      kind = "container";
    } else if (prototype === Array.prototype) kind = "container";
    else {
      kind = kinds.get(prototype);
      if (kind === undefined) {
        kind = kindOfClass(prototype, value);
        if (kind === "own") {
          // The first one shows whether objects of this class can be marked.
          fromCaller.add(value);
          if (Mark.of(value) === undefined) kind = "unmarkable";
          kinds.set(prototype, kind);
          return value;
        }
        kinds.set(prototype, kind);
      }
    }
  }
  if (kind === "own") fromCaller.addUnchanging(value, mark);
  else if (kind === "container") recordContainer(fromCaller, value);
  else if (kind === "collection") recordCollection(fromCaller, value);
  else if (kind === "unmarkable") fromCaller.add(value);
  else if (kind === "handle") {
    const { handle } = ref;
    if (value === handle) return ref.inner;
    if (handle !== undefined && HandleObject.isHandle(value))
      return HandleObject.weakHandleFor(handle as HandleObject, value);
  }
  return value;
}

/**
 * The kind of an argument, by its prototype:
 *
 * - `data` has no functions, or is never converted, so it holds nothing when it is returned;
 * - `own` is recorded as the caller's;
 * - a `container` or `collection` is recorded with its members.
 */
type ArgumentKind = "handle" | "data" | "own" | "unmarkable" | "container" | "collection";

const kinds = new WeakMap<object, ArgumentKind>();

/** Data only of the platform's classes: the first object of another class says nothing about the fields of the next. */
function kindOfClass(prototype: object, value: object): ArgumentKind {
  if (handlePrototypes.has(prototype)) return "handle";
  try {
    if (value instanceof Map || value instanceof Set) return "collection";
    return isPlatformData(value) ? "data" : "own";
  } catch {
    return "own"; // a proxy that throws
  }
}

/** Applies {@link toInner} to each argument, in place. */
export function convertArguments(ref: HandleRef, args: unknown[]): unknown[] {
  for (let index = 0; index < args.length; index++) convertArgument(ref, args, index);
  return args;
}

/** Converts one argument in place. Most are unchanged, and without a write V8 allocates no array for them. */
function convertArgument(ref: HandleRef, args: unknown[], index: number): void {
  const given = args[index];
  const converted = toInner(ref, given);
  if (converted !== given) args[index] = converted;
}
