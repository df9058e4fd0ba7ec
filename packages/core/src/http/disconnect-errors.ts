import { isObjectLike, read } from "../errors/user-values.js";

// The errors that Node and libraries throw when the client disconnects while they read its request or write its
// response.
//
// Such an error counts only if the client has disconnected (`isDisconnected` in messages.ts), since each can have
// another cause, for example an upstream. Every other error is a failure.

/** The messages of the errors with which `Deno.serve` rejects reading the body after a disconnect. */
const brokenUploads: ReadonlySet<unknown> = new Set([
  "Cannot read body as underlying resource unavailable", // at once: `request.text()`
  "Cannot read request body as underlying resource unavailable", // in parts: `request.body`
]);

/** By `code`. */
const codes: ReadonlySet<unknown> = new Set([
  // The socket: `request` and `response` of node:http, and streams that read or write them.
  "ECONNRESET",
  "ECONNABORTED", // also multiparty, raw-body (body-parser, co-body)
  "EPIPE",
  // The parser of node:http, when a connection ends in the middle of an upload: `on-finished` passes it on, and Koa with it.
  "HPE_INVALID_EOF_STATE",
  // node:stream: a request or response that was closed during `pipeline()` or `finished()`, or before `pipe` or a write.
  "ERR_STREAM_PREMATURE_CLOSE",
  "ERR_STREAM_UNABLE_TO_PIPE", // since Node 22
  "ERR_STREAM_DESTROYED",
  // Web streams made of a request or response (`Writable.toWeb(response)`): `pipeTo` into a closed stream.
  "ERR_INVALID_STATE",
  "ERR_HTTP2_INVALID_STREAM",
  "ERR_HTTP2_STREAM_ERROR",
  "ERR_HTTP2_STREAM_CANCEL",
  1002, // formidable: `errors.aborted`
]);

/** By message, for libraries whose errors have no code and no name. */
const messages: ReadonlySet<unknown> = new Set([
  "Request aborted", // multer, multiparty
  "Request closed", // multer, since 2.1: the request was destroyed
  "Unexpected end of form", // busboy
  "Unexpected end of file", // busboy, of a part
  "Unexpected end of multipart data", // @fastify/busboy, dicer
  "Part terminated early due to unexpected end of multipart data", // @fastify/busboy, dicer
  "Malformed part header", // busboy, of a part whose header was cut off
  "stream ended unexpectedly", // multiparty
  "aborted", // node:http's request, also where a wrapper has dropped the code
]);

/** Whether `error` is how a library fails after a disconnect. */
export function isDisconnectError(error: unknown): boolean {
  if (!isObjectLike(error)) return false;
  if (read(error, "name") === "AbortError") return true;
  if (codes.has(read(error, "code")) || read(error, "type") === "request.aborted") return true; // raw-body's type
  return messages.has(read(error, "message")) || isCausedByBrokenRequest(error) || isBrokenUpload(error);
}

/**
 * Whether `error` was caused by the aborted request: a `fetch` that forwards the body of the request fails with a
 * `TypeError` that has this cause. No other cause counts, since a call of the handler can fail in these ways for other
 * reasons.
 */
function isCausedByBrokenRequest(error: object): boolean {
  for (const at of causesOf(error))
    if (read(at, "code") === "ECONNRESET" && read(at, "message") === "aborted") return true;
  return false;
}

/** How many errors to follow; a chain of causes can be circular. */
const MAX_CAUSES = 10;

/** The error, its cause, and so on. Never throws, whatever the error is. */
export function* causesOf(error: unknown): Generator<object, void, void> {
  let at = error;
  for (let depth = 0; depth < MAX_CAUSES && isObjectLike(at); depth++) {
    yield at;
    at = read(at, "cause");
  }
}

/**
 * Whether `error`, or what caused it, proves the disconnect by itself. `Deno.serve` has such an error, and aborts
 * `request.signal` only after the handler. A `fetch` that forwards the body fails with it as the cause.
 */
export function isBrokenUpload(error: unknown): boolean {
  for (const at of causesOf(error)) if (brokenUploads.has(read(at, "message"))) return true;
  return false;
}

/** Whether the source of a response failed because the client of `request` disconnected: it reads the upload, for example. */
export function isFromDisconnect(error: unknown, request: { readonly signal?: AbortSignal }): boolean {
  return isBrokenUpload(error) || (isDisconnectError(error) && request.signal?.aborted === true);
}
