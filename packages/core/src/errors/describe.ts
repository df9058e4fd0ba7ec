import { classNameOf, isObjectLike, readName } from "./user-values.js";

const MAX_LENGTH = 80;
/** The longest path that is quoted. A longer path is hard to read, and joining its parts is slow in a deep tree. */
const MAX_PATH = 500;

/** Quotes a value for an error message: short, and on one line. Never throws. */
export function describe(value: unknown): string {
  switch (typeof value) {
    case "string":
      return clip(JSON.stringify(value));
    case "bigint":
      return `${value}n`;
    case "function":
      return describeFunction(value);
    case "object":
      return value === null ? "null" : describeObject(value);
    default:
      return String(value);
  }
}

/** Returns the name of an error, and the type of any other value. Never returns the message, which may contain data. */
export function nameOfError(error: unknown): string {
  return isObjectLike(error) ? readName(error) || "Error" : typeof error;
}

/** Quotes the path of a scope for a message. */
export function quotePath(path: string): string {
  return path.length > MAX_PATH ? `with a path of ${path.length} characters` : quote(path);
}

/** `JSON.stringify`, which takes three times as long for a short text. Each cancellation quotes a path. */
function quote(text: string): string {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    const isPlain = code >= 0x20 && code < 0xd800 && code !== 0x22 && code !== 0x5c; // neither a control character, a surrogate, " nor \
    if (!isPlain) return JSON.stringify(text);
  }
  return `"${text}"`;
}

/** `a, b and c`. */
export function quoteList(names: readonly string[]): string {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

function describeFunction(value: object): string {
  const name = readName(value);
  return name ? clip(`function ${name}`) : "an anonymous function";
}

function describeObject(value: object): string {
  try {
    if (Array.isArray(value)) return `an array of ${value.length}`;
  } catch {
    return "an object"; // a revoked proxy
  }
  const name = classNameOf(value);
  return name === undefined ? "a plain object" : clip(`an instance of ${name}`);
}

function clip(text: string): string {
  return text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)}…` : text;
}
