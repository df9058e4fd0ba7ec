import { subjectOf } from "../../kernel/stand-in.js";
import type { Lease } from "./lease.js";
import { HandleObject } from "../handle/handle-object.js";
import { classOf, isPlain } from "./sending.js";

/**
 * Converts an argument that a caller passes to an inner object through its handle. The handle becomes the inner
 * object, a facade becomes its subject, and another handle becomes a weak handle of the same object. Every other
 * value stays as it is, and is recorded as the caller's.
 */
export function toInner(lease: Lease, value: unknown): unknown {
  if (typeof value === "function") {
    const subject = subjectOf(value);
    if (subject !== undefined) return known(lease, value, subject) ? subject : value;
    lease.results.fromCaller.add(value);
    return value;
  }
  if (typeof value !== "object" || value === null) return value;
  const { handle } = lease;
  if (value === handle) return lease.inner;
  const kind = kindOf(value);
  if (kind === "handle" && HandleObject.isHandle(value))
    return handle === undefined ? value : HandleObject.weakHandleFor(handle as HandleObject, value);
  const subject = subjectOf(value);
  if (subject !== undefined && known(lease, value, subject)) return subject;
  if (kind === "own") lease.results.fromCaller.add(value);
  else if (kind === "plain" && !Array.isArray(value)) noteMembers(lease, value);
  return value;
}

/**
 * What an argument is by its prototype. `data` has no functions, so it holds nothing when it comes out again; `own` is noted as
 * the caller's own.
 */
type Kind = "plain" | "handle" | "data" | "own";

/** By a prototype: one look-up for each argument of a class. Adding an object to a WeakSet takes half a microsecond. */
const kinds = new WeakMap<object, Kind>();

function kindOf(value: object): Kind {
  let prototype: object | null;
  try {
    prototype = Object.getPrototypeOf(value) as object | null;
  } catch {
    return "plain"; // a revoked proxy
  }
  if (prototype === Object.prototype || prototype === Array.prototype || prototype === null) return "plain";
  return kinds.get(prototype) ?? kindOfClass(prototype, value);
}

function kindOfClass(prototype: object, value: object): Kind {
  const kind = HandleObject.prototypes.has(prototype) ? "handle" : isData(value) ? "data" : "own";
  kinds.set(prototype, kind);
  return kind;
}

function isData(value: object): boolean {
  if (ArrayBuffer.isView(value)) return true;
  try {
    const { hasMethods, hasPrivateMembers } = classOf(value);
    return !hasMethods && !hasPrivateMembers && Object.values(value).every(isDataMember);
  } catch {
    return false; // a proxy that throws
  }
}

function isDataMember(member: unknown): boolean {
  if (typeof member !== "object" || member === null) return typeof member !== "function";
  return isPlain(member) || member instanceof Date || ArrayBuffer.isView(member);
}

/** The functions and objects in a literal are the caller's own as well, if they come out with it. */
function noteMembers({ results }: Lease, value: object): void {
  for (const key in value) {
    const member: unknown = Object.getOwnPropertyDescriptor(value, key)?.value;
    if (typeof member === "function") results.fromCaller.add(member);
    else if (typeof member === "object" && member !== null && !isPlain(member))
      results.fromCaller.add(member);
  }
}

/** As {@link toInner}, in place, from the argument `first` on. */
export function convertArguments(lease: Lease, args: unknown[], first = 0): unknown[] {
  for (let index = first; index < args.length; index++) convertArgument(lease, args, index);
  return args;
}

/** Converts one argument. Most stay what they are, and as long as none is stored the engine makes no array for them. */
export function convertArgument(lease: Lease, args: unknown[], index: number): void {
  const given = args[index];
  const entering = toInner(lease, given);
  if (entering !== given) args[index] = entering;
}

function known({ results }: Lease, value: object, subject: object): boolean {
  return results.facades.get(subject)?.deref() === value;
}
