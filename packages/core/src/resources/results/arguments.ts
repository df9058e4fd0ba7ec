import { subjectOf } from "../../kernel/stand-in.js";
import type { Lease } from "./lease.js";
import { HandleObject } from "../handle/handle-object.js";
import { recordCollection, recordContainer } from "./caller-objects.js";
import { isPlatformData } from "./platform-objects.js";

/**
 * Converts an argument that a caller passes to an inner object through its handle. The handle becomes the inner object,
 * a facade becomes its subject, and another handle becomes a weak handle of the same object. Every other value is
 * unchanged, and recorded as the caller's.
 */
export function toInner(lease: Lease, value: unknown): unknown {
  if (typeof value === "function") {
    const subject = subjectOf(value);
    if (subject !== undefined) return isOwnFacade(lease, value, subject) ? subject : value;
    lease.results.fromCaller.add(value);
    return value;
  }
  if (typeof value !== "object" || value === null) return value;
  const { handle, results } = lease;
  if (value === handle) return lease.inner;
  const subject = subjectOf(value);
  if (subject !== undefined && !HandleObject.isHandle(value) && isOwnFacade(lease, value, subject))
    return subject;
  // The frequent kinds first: the kind of a class takes a look-up.
  const prototype = prototypeOf(value);
  if (prototype === Array.prototype || isPlainPrototype(prototype)) {
    recordContainer(results.fromCaller, value);
    return value;
  }
  const kind = kinds.get(prototype) ?? kindOfClass(prototype, value);
  if (kind === "own") results.fromCaller.add(value);
  else if (kind === "collection") recordCollection(results.fromCaller, value);
  else if (kind === "handle" && handle !== undefined && HandleObject.isHandle(value))
    return HandleObject.weakHandleFor(handle as HandleObject, value);
  return value;
}

/** The prototype of a revoked proxy is `null`. */
function prototypeOf(value: object): object | null {
  try {
    return Object.getPrototypeOf(value) as object | null;
  } catch {
    return null;
  }
}

function isPlainPrototype(prototype: object | null): prototype is null {
  return prototype === null || prototype === Object.prototype;
}

/**
 * The kind of an argument, by its prototype. `data` has no functions, or is never converted, so it holds nothing when
 * it is returned; `own` is recorded as the caller's, and a `collection` with its members.
 */
type Kind = "handle" | "data" | "own" | "collection";

const kinds = new WeakMap<object, Kind>();

function kindOfClass(prototype: object, value: object): Kind {
  const kind = HandleObject.prototypes.has(prototype) ? "handle" : kindOfObject(value);
  kinds.set(prototype, kind);
  return kind;
}

/** Data only of the platform's classes: the first object of another class says nothing about the fields of the next. */
function kindOfObject(value: object): Kind {
  try {
    if (value instanceof Map || value instanceof Set) return "collection";
    return isPlatformData(value) ? "data" : "own";
  } catch {
    return "own"; // a proxy that throws
  }
}

/** Whether {@link toInner} replaces an argument. Most have been recorded before: a frequent call inlines no more than that. */
export function mustConvert(owner: HandleObject, value: object): boolean {
  const lease = HandleObject.leaseOf(owner);
  return !lease.results.fromCaller.isMarked(value) && toInner(lease, value) !== value;
}

/** Applies {@link toInner} in place, from the argument `first` on. */
export function convertArguments(lease: Lease, args: unknown[], first = 0): unknown[] {
  for (let index = first; index < args.length; index++) convertArgument(lease, args, index);
  return args;
}

/** Converts one argument in place. Most are unchanged, and without a write V8 allocates no array for them. */
export function convertArgument(lease: Lease, args: unknown[], index: number): void {
  const given = args[index];
  const converted = toInner(lease, given);
  if (converted !== given) args[index] = converted;
}

function isOwnFacade({ results }: Lease, value: object, subject: object): boolean {
  return results.facades.get(subject)?.deref() === value;
}
