import { MAX_AGGREGATES, MAX_CLASSES, MAX_INNER_ERRORS } from "./constants.js";
import { isObject, read, readName } from "./user-values.js";

/**
 * Recognises the rejections of HTTP clients, databases and other libraries after their signal has aborted.
 *
 * Many of them make another error instead of rejecting with `signal.reason`, and do not call it AbortError. In a
 * scope that is cancelled already, such an error is the cancellation coming back (rule 12). In any other scope it is
 * a failure: nothing there has asked for an abort.
 *
 * An entry must match only the abort of the client, because a failure that happens to occur in a cancelled scope must
 * not be swallowed. So:
 *
 * - A TypeError, RangeError, ReferenceError or SyntaxError matches no entry, with any code: it is a mistake in a
 *   program, or `fetch` that cannot connect.
 * - A `TimeoutError` matches no entry: a timeout that the caller made (`AbortSignal.timeout()`) is not our
 *   cancellation.
 * - Errors are recognised by their shape and not by `instanceof`: there may be two copies of a client, and other realms.
 *
 * For a client that is missing here, there is the scope option `isCancellation`.
 */

/** Codes that mean an abort in every client that uses them. */
const abortCodes: ReadonlySet<unknown> = new Set([
  "ABORT_ERR", // Node.js: streams, child processes, fs, timers; libp2p
  "ERR_ABORTED", // got 13 and newer
  "ERR_CANCELED", // axios from 0.27 on; got 12 and p-cancelable
  "UND_ERR_ABORTED", // undici, when it is given an EventEmitter as its signal
  // PostgreSQL, by any driver (pg, postgres.js): "canceling statement due to user request". The server says the same
  // when its own statement_timeout ends the statement. In a cancelled scope that makes no difference.
  "57014",
  // MySQL and MariaDB: KILL QUERY ended the statement. As with 57014, another client may have killed it.
  "ER_QUERY_INTERRUPTED",
  "ECANCEL", // SQL Server, by tedious and mssql: `request.cancel()`
  "ORA-01013", // Oracle, by node-oracledb: `connection.break()`
  "SQLITE_INTERRUPT", // sqlite3: `database.interrupt()`
  "ECANCELLED", // `resolver.cancel()` of node:dns
  "RequestAbortedError", // AWS SDK 2
]);

/** Names that mean an abort, whether the error has the name or its class. Many clients forget one of the two. */
const abortNames: ReadonlySet<unknown> = new Set([
  "AbortError", // the platform; node-redis 5
  "CanceledError", // axios from 0.22 on. A user's own class of that name is taken for a cancellation, too.
  "RequestAbortedError", // Elasticsearch, OpenSearch; Mistral and the other clients that Speakeasy generates
  "APIUserAbortError", // OpenAI, Anthropic and the other clients that Stainless generates
]);

/**
 * Recognises clients whose aborts have no distinctive code or name.
 *
 * @param names - The name of the error, and the names of its classes.
 */
function isAbortByShape(error: object, code: unknown, names: readonly unknown[]): boolean {
  const message = read(error, "message");
  return (
    // axios before 0.22: an object that is not an Error.
    read(error, "__CANCEL__") === true ||
    // A response of node:http whose request was aborted while it came in. One that the server broke off looks the same.
    (code === "ECONNRESET" && message === "aborted") ||
    // Clients of Stainless in a minified bundle, where the class has lost its name: the `name` is "Error" in OpenAI 6 and 7 and
    // in older Anthropic clients. The error has neither status nor headers, since there was no response.
    (message === "Request was aborted." && isUndefined(error, "status") && isUndefined(error, "headers")) ||
    // superagent. Code and message: "ABORTED" alone is also the status of a transaction that lost a conflict (gRPC, Spanner).
    (code === "ABORTED" && message === "Aborted") ||
    message === "The request has been aborted even before .end() was called" ||
    // A GaxiosError whose cause (`error` before version 7) is the AbortError of fetch. A cause named AbortError is not
    // enough: the abort of another operation may have been wrapped.
    ((code === "AbortError" || names.includes("GaxiosError")) &&
      (isNamedAbort(read(error, "cause")) || isNamedAbort(read(error, "error")))) ||
    // gRPC's status CANCELLED (grpc-js, nice-grpc, Connect) is the number 1, which can also be an exit code or an enum.
    // So the error must have the `details` and the `metadata` of a ServiceError. A server that answers CANCELLED looks
    // the same.
    (code === 1 && hasDetails(read(error, "details")) && isObject(read(error, "metadata"))) ||
    // ER_QUERY_INTERRUPTED by its number, for drivers that have no names. Node's own `errno`s are negative.
    read(error, "errno") === 1317
  );
}

function isNamedAbort(error: unknown): boolean {
  return isObject(error) && read(error, "name") === "AbortError";
}

/** Mistakes in a program: never a cancellation. */
const mistake = /^(?:Type|Range|Reference|Syntax|Eval|URI)Error$/;

/**
 * Whether a known client rejects with `error` after an abort: it is named AbortError, or is in the list of this file.
 * It does not say which abort that was, so call it only after an abort.
 *
 * Never throws.
 */
export function isForeignAbort(error: unknown): boolean {
  if (!isObject(error)) return false;
  const name = read(error, "name");
  if (name === "AbortError") return true;
  const classes = classesOf(error);
  if (name === "TimeoutError" || classes.some((each) => mistake.test(each))) return false;
  const names = [name, ...classes];
  const code = read(error, "code");
  if (abortCodes.has(code) || names.some((each) => abortNames.has(each))) return true;
  return isAbortByShape(error, code, names);
}

/**
 * Whether `error` is an `AggregateError` or a `SuppressedError` that contains, at any depth, at least one error, and
 * only errors for which `test` is true. `Promise.any` rejects with such an error when all its calls were aborted, and
 * `await using` does when both the block and the disposal were aborted.
 *
 * Never throws, unless `test` does.
 */
export function consistsOf(error: unknown, test: (error: unknown) => boolean): boolean {
  const parts = partsOf(error);
  if (parts === undefined) return false;
  const seen = new Set<unknown>([error]);
  let found = false;
  let aggregates = 1;
  for (const part of parts) {
    if (isObject(part)) {
      if (seen.has(part)) continue;
      seen.add(part);
    }
    if (test(part)) {
      found = true;
      continue;
    }
    const inner = partsOf(part) ?? [];
    if (
      inner.length === 0 ||
      ++aggregates > MAX_AGGREGATES ||
      parts.length + inner.length > MAX_INNER_ERRORS
    ) {
      return false;
    }
    for (const each of inner) parts.push(each); // the outer loop also visits these
  }
  return found;
}

/** The errors that an aggregate stands for; `undefined` for any other value. */
function partsOf(error: unknown): unknown[] | undefined {
  if (!isObject(error)) return undefined;
  try {
    if (isCalled(error, "AggregateError")) {
      const errors: unknown = Reflect.get(error, "errors");
      return Array.isArray(errors) && errors.length <= MAX_INNER_ERRORS
        ? Array.from<unknown>(errors)
        : undefined;
    }
    if (isCalled(error, "SuppressedError") && "error" in error && "suppressed" in error)
      return [error.error, error.suppressed];
  } catch {
    // a proxy that was revoked, or a getter or trap that throws
  }
  return undefined;
}

/** TypeScript's and other polyfills make a plain Error of that name. */
function isCalled(error: object, className: string): boolean {
  return read(error, "name") === className || classesOf(error).includes(className);
}

/** A text in grpc-js, a list in Connect. */
function hasDetails(details: unknown): boolean {
  return typeof details === "string" || Array.isArray(details);
}

function classesOf(error: object): string[] {
  const classes: string[] = [];
  try {
    let at: unknown = Object.getPrototypeOf(error);
    for (let depth = 0; depth < MAX_CLASSES && isObject(at); depth++) {
      if (hasOwn(at, "constructor")) classes.push(readName(read(at, "constructor")));
      at = Object.getPrototypeOf(at);
    }
  } catch {
    // a proxy with a trap that throws: only the properties read so far count
  }
  return classes;
}

/** Whether the object itself has the property, with the value `undefined`. */
function isUndefined(object: object, key: string): boolean {
  return hasOwn(object, key) && read(object, key) === undefined;
}

function hasOwn(object: object, key: string): boolean {
  try {
    return Object.hasOwn(object, key);
  } catch {
    return false;
  }
}
