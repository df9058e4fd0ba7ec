import { isCancelKind } from "../adapter/cancel-as.js";
import { describe } from "../errors/describe.js";
import type { CancelledError } from "../errors/cancelled.js";
import type { Hint, Outcome, WireError, WireReason, WireValue } from "./engine.js";
import { RemoteError } from "./errors.js";
import { withoutProto } from "./payload.js";

// Errors, reasons, outcomes and hints as JSON, and back. The only class that is revived is RemoteError. The input may
// be anything, since other programs can write to the engine. So the functions that read never throw.

const MAX_STACK = 8_192;
const MAX_MESSAGE = 16_384;
const MAX_DEPTH = 4;
const MAX_ERRORS = 20;

/** Changes an error before it leaves the process: to drop stack traces or secrets. */
export type Redact = (error: WireError) => WireError;

/** A thrown value, or a cause, as JSON. Never throws. */
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
  return redact === undefined ? wire : redacted(wire, redact);
}

/** An error that could not be redacted does not leave the process. */
function redacted(wire: WireError, redact: Redact): WireError {
  try {
    const changed: unknown = redact(wire);
    if (isRecord(changed)) return changed as unknown as WireError;
  } catch {
    // as below
  }
  return { name: "Error", message: "an error that redact has failed for" };
}

/** The error of a worker, for the owner: a `RemoteError`, or the plain value. */
export function decodeThrown(
  wire: WireValue,
  from: { readonly worker?: string | undefined; readonly attempt?: number | undefined } = {},
  depth = 0,
): unknown {
  if (!isRecord(wire)) return wire;
  const { error, value } = wire as { readonly error?: unknown; readonly value?: unknown };
  if (!isRecord(error)) return withoutProto(value);
  const { name, message, code, stack, cause, errors } = error;
  const deeper = depth < MAX_DEPTH;
  return new RemoteError(
    textOf(message),
    {
      name: textOf(name),
      code: typeof code === "string" || typeof code === "number" ? code : undefined,
      stack: typeof stack === "string" ? stack : undefined,
      worker: from.worker,
      attempt: from.attempt,
    },
    cause === undefined || !deeper ? undefined : decodeThrown(cause as WireValue, from, depth + 1),
    Array.isArray(errors) && deeper
      ? errors.slice(0, MAX_ERRORS).map((each) => decodeThrown(each as WireValue, from, depth + 1))
      : undefined,
  );
}

/** An outcome as it was received; `undefined` if it is not an outcome. */
export function readOutcome(value: unknown): Outcome | undefined {
  if (!isRecord(value)) return undefined;
  const outcome = value as unknown as Outcome;
  if (outcome.t === "value" || outcome.t === "lost") return outcome;
  if (outcome.t === "error") return isRecord(outcome.error) ? outcome : undefined;
  return outcome.t === "cancelled" ? { t: "cancelled", reason: readReason(outcome.reason) } : undefined;
}

/** Reads a received reason. Any other value becomes a reason of kind "explicit". */
export function readReason(value: unknown): WireReason {
  const { kind, path, cause } = isRecord(value) ? value : {};
  return {
    kind: isCancelKind(kind) ? kind : "explicit",
    ...(typeof path === "string" ? { path } : {}),
    ...(cause === undefined ? {} : { cause: cause as WireValue }),
  };
}

/**
 * The hints of a message. Throws if it is not JSON; a message from another sender has none.
 *
 * @param text - One hint as JSON, or an array of them.
 */
export function readHints(text: string): readonly Hint[] {
  const value = JSON.parse(text) as unknown;
  const isHint = (each: unknown): boolean =>
    isRecord(each) && typeof each["queue"] === "string" && typeof each["id"] === "string";
  return ([] as unknown[]).concat(value).filter(isHint) as Hint[];
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : describe(value);
}

export function encodeReason(reason: CancelledError, redact: Redact | undefined): WireReason {
  return {
    kind: reason.kind,
    path: reason.scope,
    ...(reason.cause === undefined ? {} : { cause: encodeThrown(reason.cause, redact, 1) }),
  };
}
