import { subjectOf } from "../../kernel/stand-in.js";
import type { Lease } from "./lease.js";
import { HandleObject } from "../handle/handle-object.js";

/**
 * What gets inside of an inner object through its handle: the handle becomes the inner object, a facade what it stands
 * for, another handle its companion. Anything else stays what it is, and is known as the caller's own.
 */
export function incoming(lease: Lease, value: unknown): unknown {
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
    return handle === undefined ? value : HandleObject.admit(handle as HandleObject, value);
  const subject = subjectOf(value);
  if (subject !== undefined && known(lease, value, subject)) return subject;
  if (!isPlain(value)) lease.results.fromCaller.add(value);
  else if (!Array.isArray(value)) admitMembers(lease, value);
  return value;
}

/** The functions and objects in a literal are the caller's own as well, if they come out with it. */
function admitMembers({ results }: Lease, value: object): void {
  for (const key in value) {
    const member: unknown = Object.getOwnPropertyDescriptor(value, key)?.value;
    if (typeof member === "function") results.fromCaller.add(member);
    else if (typeof member === "object" && member !== null && !isPlain(member))
      results.fromCaller.add(member);
  }
}

/** As {@link incoming}, in place. */
export function admitAll(lease: Lease, args: unknown[]): unknown[] {
  for (let index = 0; index < args.length; index++) args[index] = incoming(lease, args[index]);
  return args;
}

function known({ results }: Lease, value: object, subject: object): boolean {
  return results.facades.get(subject)?.deref() === value;
}

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
