import { isObject } from "./user-values.js";

/**
 * Formats the stack trace of `error` now, and returns `error`. Until the stack is read, V8 keeps the frames, and so the
 * receiver of every method on the stack. An error that is created in a method of an owner handle would keep the handle
 * alive.
 */
export function detached<E>(error: E): E {
  try {
    // A call, so that no minifier takes it for a read without effect.
    if (isObject(error)) Reflect.get(error, "stack");
  } catch {
    // A user's getter threw: it has no stack that would keep anything.
  }
  return error;
}
