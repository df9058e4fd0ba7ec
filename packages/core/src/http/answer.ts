import type { ServerResponse } from "node:http";
import type { Http2ServerResponse } from "node:http2";
import { isCancelled, type CancelledError } from "../errors/cancelled.js";
import { judge } from "../kernel/settle.js";
import { ignoreLateAnswer } from "./late-answer.js";
import type { FastifyLike } from "./quiet-reply.js";
import type { RequestRecord } from "./request-record.js";
import { isAbandoned, isResponse, type AnyRequest, type AnyResponse } from "./types.js";

/** 499: the client is gone. 503: this server ran out of time, or shuts down. 504: another one's time was up. */
export type CancelStatus = 499 | 503 | 504;

const texts: Readonly<Record<CancelStatus, string>> = {
  499: "Client Closed Request",
  503: "Service Unavailable",
  504: "Gateway Timeout",
};

/** Codes of errors that say that the peer is gone; only believed when it is. */
const goneCodes: ReadonlySet<unknown> = new Set([
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ERR_STREAM_PREMATURE_CLOSE",
  "ERR_STREAM_DESTROYED",
  "ERR_HTTP2_INVALID_STREAM",
  "ERR_HTTP2_STREAM_ERROR",
]);

/**
 * What became of a request whose handler failed with `error`, if that comes from the request's cancellation;
 * `undefined` for any other failure, which is its framework's affair.
 */
export function statusOf(
  request: AnyRequest,
  response: AnyResponse,
  record: RequestRecord | undefined,
  error: unknown,
): CancelStatus | undefined {
  const node = record?.node;
  const reason = node?.reason;
  if (record === undefined || node === undefined || reason === undefined) {
    if (isGone(request, response) && saysGone(error)) return 499;
    return deadlineIn(error) === undefined ? undefined : 504;
  }
  if (judge(node, error)) {
    if (reason.kind === "disconnected") return 499;
    if (reason.kind === "deadline") return record.statusOfDeadline();
    if (reason.scope !== node.path) return 503; // the server's scope was cancelled, for whatever reason
  }
  if ((reason.kind === "disconnected" || isGone(request, response)) && saysGone(error)) return 499;
  return deadlineIn(error) === undefined ? undefined : 504;
}

/** Body parsers hear of it before the response does. */
function isGone(request: AnyRequest, response: AnyResponse): boolean {
  return isAbandoned(request, response) || (request.aborted && !response.writableEnded);
}

function saysGone(error: unknown): boolean {
  if (typeof error !== "object" || error === null) return false;
  const { code, name, type } = error as { code?: unknown; name?: unknown; type?: unknown };
  return goneCodes.has(code) || name === "AbortError" || type === "request.aborted";
}

/** How many causes deep to look; a chain can be circular. */
const MAX_CAUSES = 10;

/** The deadline among the causes of a failure: a call of the handler's had a time of its own, and overran it. */
function deadlineIn(error: unknown): CancelledError | undefined {
  let at = error;
  for (let depth = 0; depth < MAX_CAUSES && typeof at === "object" && at !== null; depth++) {
    if (isCancelled(at) && at.kind === "deadline") return at;
    at = (at as { cause?: unknown }).cause;
  }
  return undefined;
}

/** Headers that describe the body that is not going to be sent. */
const ofBody = /^(content-|etag$|last-modified$|cache-control$|transfer-encoding$|trailer$|accept-ranges$)/;

/**
 * Answers in the handler's place, unless it has begun to answer. Says whether it did.
 *
 * @param reply - Fastify's: then the answer has the form of Fastify's own errors, and the headers that hooks set.
 */
export function answer(
  request: AnyRequest,
  response: AnyResponse,
  status: CancelStatus,
  reply?: FastifyLike,
): boolean {
  if (!isResponse(response) || response.headersSent || response.writableEnded) return false;
  if (isAbandoned(request, response)) return false;
  if (reply !== undefined) takeOver(reply, response);
  for (const name of response.getHeaderNames()) if (ofBody.test(name)) response.removeHeader(name);
  const text = texts[status];
  const body =
    reply === undefined ? `${text}\n` : JSON.stringify({ statusCode: status, error: text, message: text });
  response.statusCode = status;
  response.setHeader(
    "content-type",
    `${reply === undefined ? "text/plain" : "application/json"}; charset=utf-8`,
  );
  response.setHeader("content-length", Buffer.byteLength(body));
  // An upload that nobody reads any more would have to be read to its end before the next request.
  if (request.httpVersionMajor < 2 && !request.complete) response.shouldKeepAlive = false;
  response.end(body);
  if (!request.complete) stopUpload(response);
  ignoreLateAnswer(response);
  return true;
}

/** Fastify keeps the headers until it sends them. */
function takeOver(reply: FastifyLike, response: ServerResponse): void {
  reply.hijack();
  for (const [name, value] of Object.entries(reply.getHeaders())) {
    try {
      if (value !== undefined) response.setHeader(name, value);
    } catch {
      // Of no valid value: Fastify finds out when it sends it, and then leaves it out, too.
    }
  }
}

/** Tells a client of HTTP/2, once it has the whole answer, to stop an upload that nobody reads any more. */
export function stopUpload(response: AnyResponse): void {
  if (response.writableEnded) streamOf(response)?.close(NO_ERROR);
}

/**
 * Ends a response that has begun and will not be completed, so that the client can't take it for complete. One that
 * has been ended may wait for its turn.
 */
export function cutOff(response: AnyResponse): void {
  if (isSaid(response)) return;
  const stream = streamOf(response);
  // An error code, since HTTP/2 would otherwise end the stream as if all had been said.
  if (stream !== undefined) stream.close(INTERNAL_ERROR);
  else response.destroy();
}

/** Whether the handler has said all it has to say. Of a socket one can't tell. */
export function isSaid(response: AnyResponse): boolean {
  return isResponse(response) && response.writableEnded;
}

/** The stream of HTTP/2. */
function streamOf(response: AnyResponse): { close: (code: number) => void } | undefined {
  const { stream } = response as Partial<Http2ServerResponse>;
  return typeof stream?.close === "function" ? stream : undefined;
}

/** NGHTTP2_NO_ERROR, NGHTTP2_INTERNAL_ERROR. */
const NO_ERROR = 0;
const INTERNAL_ERROR = 2;

/** Gives a failed request the end that its `status` stands for; the response may have begun, or be done. */
export function conclude(
  request: AnyRequest,
  response: AnyResponse,
  status: CancelStatus,
  reply?: FastifyLike,
): void {
  if (status === 499) {
    // For whoever logs when a response closes; it is not sent.
    if (isResponse(response) && !response.headersSent) response.statusCode = 499;
    return;
  }
  if (!answer(request, response, status, reply)) cutOff(response);
}
