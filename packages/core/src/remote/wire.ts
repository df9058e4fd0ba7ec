import { describe } from "../errors/describe.js";
import type { CancelledError } from "../errors/cancelled.js";
import type { WireError, WireReason, WireValue } from "./engine.js";
import { RemoteError } from "./errors.js";

// Errors and reasons as JSON, and back. Nothing is revived as an instance of a class but RemoteError.

const MAX_STACK = 8_192;
const MAX_MESSAGE = 16_384;
const MAX_DEPTH = 4;
const MAX_ERRORS = 20;

/** Changes an error before it leaves the process: to drop stack traces or secrets. */
export type Redact = (error: WireError) => WireError;

/** What was thrown, or a cause, as JSON. Never throws, whatever the value is. */
export function encodeThrown(value: unknown, redact: Redact | undefined, depth = 0): WireValue {
  try {
    if (isErrorLike(value)) return { error: encodeError(value, redact, depth) };
    if (value === undefined) return { value: null };
    return { value: JSON.parse(JSON.stringify(value)) as unknown };
  } catch {
    return { value: describe(value) };
  }
}

function isErrorLike(value: unknown): value is Error {
  return value instanceof Error || Object.prototype.toString.call(value) === "[object Error]";
}

function encodeError(error: Error, redact: Redact | undefined, depth: number): WireError {
  const { name, message, code, stack, cause, errors } = error as Error & {
    code?: unknown;
    errors?: unknown;
  };
  const deeper = depth < MAX_DEPTH;
  const wire: WireError = {
    name: typeof name === "string" ? name.slice(0, 200) : "Error",
    message: typeof message === "string" ? message.slice(0, MAX_MESSAGE) : "",
    ...(typeof code === "string" || typeof code === "number" ? { code } : {}),
    ...(typeof stack === "string" ? { stack: stack.slice(0, MAX_STACK) } : {}),
    ...(cause === undefined || !deeper ? {} : { cause: encodeThrown(cause, redact, depth + 1) }),
    ...(Array.isArray(errors) && deeper
      ? { errors: errors.slice(0, MAX_ERRORS).map((each) => encodeThrown(each, redact, depth + 1)) }
      : {}),
  };
  return redact === undefined ? wire : redact(wire);
}

/** What a worker threw, for the owner: a `RemoteError`, or the plain value. */
export function decodeThrown(
  wire: WireValue,
  from: { readonly worker?: string | undefined; readonly attempt?: number | undefined } = {},
): unknown {
  if (!("error" in wire)) return wire.value;
  const { name, message, code, stack, cause, errors } = wire.error;
  return new RemoteError(
    String(message),
    { name: String(name), code, stack, worker: from.worker, attempt: from.attempt },
    cause === undefined ? undefined : decodeThrown(cause, from),
    errors?.map((each) => decodeThrown(each, from)),
  );
}

export function encodeReason(reason: CancelledError, redact: Redact | undefined): WireReason {
  return {
    kind: reason.kind,
    path: reason.scope,
    ...(reason.cause === undefined ? {} : { cause: encodeThrown(reason.cause, redact, 1) }),
  };
}
