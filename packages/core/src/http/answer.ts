import type { Http2ServerResponse } from "node:http2";
import { ignoreLateAnswer } from "./symbols.js";
import { plainForm, type Form } from "./responder.js";
import { isAbandoned, isResponse, type AnyRequest, type AnyResponse } from "./messages.js";

/** What is answered in a handler's place; 500 for one that leaves the failure of a task unanswered. */
export type AnswerStatus = 500 | 503 | 504;

const texts: Readonly<Record<AnswerStatus, string>> = {
  500: "Internal Server Error",
  503: "Service Unavailable",
  504: "Gateway Timeout",
};

/** Headers that describe the body that is not going to be sent. */
export const ofBody: RegExp =
  /^(content-|etag$|last-modified$|cache-control$|transfer-encoding$|trailer$|accept-ranges$)/;

/** Whether an answer can be given: nothing has been sent, and somebody is there. */
export function isAnswerable(request: AnyRequest, response: AnyResponse): boolean {
  if (!isResponse(response) || response.headersSent || response.writableEnded) return false;
  return !isAbandoned(request, response);
}

/**
 * Answers in the handler's place, if the response {@link isAnswerable}.
 *
 * @param form - How the answer looks; the response is the framework's no longer.
 */
export function answer(
  request: AnyRequest,
  response: AnyResponse,
  status: AnswerStatus,
  form: (status: AnswerStatus, text: string) => Form = (_, text) => plainForm(text),
): void {
  if (!isResponse(response)) return;
  const { type, body } = form(status, texts[status]);
  for (const name of response.getHeaderNames()) if (ofBody.test(name)) response.removeHeader(name);
  response.statusCode = status;
  response.setHeader("content-type", `${type}; charset=utf-8`);
  response.setHeader("content-length", Buffer.byteLength(body));
  leaveUpload(request, response);
  response.end(body);
  if (!request.complete) stopUpload(response);
  ignoreLateAnswer(response, "headersSent");
}

/** An upload that nobody reads any more would have to be read to its end before the next request. */
export function leaveUpload(request: AnyRequest, response: AnyResponse): void {
  if (request.httpVersionMajor < 2 && !request.complete && "shouldKeepAlive" in response)
    response.shouldKeepAlive = false;
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
