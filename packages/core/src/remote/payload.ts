import { describe } from "../errors/describe.js";
import { isThenable } from "../errors/user-values.js";
import { RemoteRefusedError } from "./errors.js";
import type { Parser, StandardSchema } from "./job.js";

/** Transforms payloads to and from the engine, for example for encryption or compression. Both sides need the same. */
export interface Codec {
  /** Converts JSON to the text that the engine stores. */
  readonly encode: (json: string) => string | PromiseLike<string>;
  /** Converts that text back to JSON. */
  readonly decode: (text: string) => string | PromiseLike<string>;
}

export interface PayloadOptions {
  /** The greatest size of a payload in bytes, after the codec. */
  readonly maxSize: number;
  readonly codec: Codec | undefined;
}

/**
 * Encodes a value as the text to send.
 *
 * @param what - Begins the message of an error: `the data of resize@2`.
 */
export async function encodePayload(
  what: string,
  value: unknown,
  options: PayloadOptions,
): Promise<string | undefined> {
  let json: string | undefined;
  try {
    json = JSON.stringify(value);
  } catch (error) {
    throw new RemoteRefusedError(`${what} can't be written as JSON`, { cause: error });
  }
  if (json === undefined) {
    if (value === undefined) return undefined;
    throw new RemoteRefusedError(`${what} can't be written as JSON: it is a ${typeof value}`);
  }
  const text: unknown = options.codec === undefined ? json : await options.codec.encode(json);
  if (typeof text !== "string")
    throw new RemoteRefusedError(
      `${what} can't be encoded: codec.encode returned ${describe(text)}, not a string`,
    );
  const size = Buffer.byteLength(text);
  if (size > options.maxSize)
    throw new RemoteRefusedError(
      `${what} takes ${size} bytes, more than maxSize (${options.maxSize}): store it elsewhere, and send its key`,
    );
  return text;
}

/** Reads what {@link encodePayload} wrote, and checks it. */
export async function decodePayload<T>(
  what: string,
  body: string | undefined,
  parser: Parser<T> | undefined,
  codec: Codec | undefined,
): Promise<T> {
  let value: unknown;
  try {
    if (body !== undefined) value = parseJson(codec === undefined ? body : await codec.decode(body));
  } catch (error) {
    throw new RemoteRefusedError(`${what} can't be read`, { cause: error });
  }
  return parser === undefined ? (value as T) : check(what, value, parser);
}

/** `__proto__` is dropped: a later `Object.assign` would set the prototype. */
function parseJson(text: string): unknown {
  if (!text.includes("__proto__") && !text.includes("\\u")) return JSON.parse(text);
  return JSON.parse(text, (key, value: unknown) => (key === "__proto__" ? undefined : value));
}

/** The same for a parsed JSON value. Values that are nested too deeply are dropped. */
export function withoutProto(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  try {
    return parseJson(JSON.stringify(value));
  } catch {
    return undefined;
  }
}

async function check<T>(what: string, value: unknown, parser: Parser<T>): Promise<T> {
  let result: Awaited<ReturnType<StandardSchema<T>["~standard"]["validate"]>>;
  try {
    if (!isSchema(parser)) {
      const parsed = parser(value);
      return isThenable(parsed) ? await parsed : parsed;
    }
    result = await parser["~standard"].validate(value);
  } catch (error) {
    const text = error instanceof Error ? error.message : describe(error);
    throw new RemoteRefusedError(`${what} does not fit: ${text}`, { cause: error });
  }
  if (result.issues === undefined) return result.value;
  const issues = result.issues.slice(0, 5).map(({ message, path }) => `${pathOf(path)}${message}`);
  throw new RemoteRefusedError(`${what} does not fit its schema: ${issues.join("; ")}`);
}

// A schema may be a function, too (ArkType).
function isSchema<T>(parser: Parser<T>): parser is StandardSchema<T> {
  return "~standard" in parser;
}

function pathOf(path: readonly unknown[] | undefined): string {
  if (path === undefined || path.length === 0) return "";
  const keys = path.map((part) =>
    typeof part === "object" && part !== null && "key" in part ? part.key : part,
  );
  return `${keys.map(String).join(".")}: `;
}
