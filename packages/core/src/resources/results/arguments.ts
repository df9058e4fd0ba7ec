import { subjectOf } from "../../kernel/stand-in.js";
import type { Lease } from "./lease.js";
import { HandleObject } from "../handle/handle-object.js";
import { hasMethods, isPlain } from "./sending.js";

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
  if (HandleObject.isHandle(value))
    return handle === undefined ? value : HandleObject.weakHandleFor(handle as HandleObject, value);
  const subject = subjectOf(value);
  if (subject !== undefined && known(lease, value, subject)) return subject;
  if (!isPlain(value)) {
    if (!isData(value)) lease.results.fromCaller.add(value);
  } else if (!Array.isArray(value)) noteMembers(lease, value);
  return value;
}

/** By a prototype, whether its objects are data: they have no functions, so they hold nothing when they come out again. */
const dataClasses = new WeakMap<object, boolean>();

/** Adding an object to a WeakSet takes half a microsecond. */
function isData(value: object): boolean {
  if (ArrayBuffer.isView(value)) return true;
  try {
    const prototype = Object.getPrototypeOf(value) as object;
    let isOne = dataClasses.get(prototype);
    if (isOne === undefined) {
      isOne = !hasMethods(value) && !Object.values(value).some((member) => typeof member === "function");
      dataClasses.set(prototype, isOne);
    }
    return isOne;
  } catch {
    return false; // a proxy that throws
  }
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

/** As {@link toInner}, in place. */
export function convertArguments(lease: Lease, args: unknown[]): unknown[] {
  for (let index = 0; index < args.length; index++) args[index] = toInner(lease, args[index]);
  return args;
}

function known({ results }: Lease, value: object, subject: object): boolean {
  return results.facades.get(subject)?.deref() === value;
}
