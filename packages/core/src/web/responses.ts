import { isObjectLike } from "../errors/user-values.js";
import { answerTexts, type AnswerStatus } from "../http/responder.js";
import { isBun } from "../kernel/platform.js";

// The responses of fetch-style handlers: inspects them, and creates new ones from them. This file has no state.

/** The part of a response that is read. A framework may have its own class. */
export interface ResponseLike {
  readonly status: number;
  readonly headers: Headers;
  readonly statusText: string;
  readonly body: ReadableStream<unknown> | null;
  readonly bodyUsed: boolean;
  /** In workerd: the socket of an upgraded request, or null. */
  readonly webSocket?: unknown;
}

/** A response with a body. */
export interface WithBody extends ResponseLike {
  readonly body: ReadableStream<unknown>;
}

const bodiless: ReadonlySet<number> = new Set([101, 204, 205, 304]);

/** Whether the value is a response: hosts take other values too, such as `undefined` for an upgraded request. */
export function isResponse(value: unknown): value is ResponseLike {
  return isObjectLike(value) && "headers" in value && "body" in value;
}

/** The status of a handler's result; 0 if it has none. */
export function statusOf(value: unknown): number {
  return isResponse(value) ? value.status : 0;
}

/** The response, if its body may take time to be sent. */
export function withBody(method: string, value: unknown): WithBody | undefined {
  if (method === "HEAD" || !isResponse(value) || isUpgrade(value) || bodiless.has(value.status))
    return undefined;
  // A body that was read is an error, which the host reports. In Bun, a body of node-fetch is a stream of Node.
  return hasReadableBody(value) && !value.bodyUsed ? value : undefined;
}

/** Whether the response has a body that no code reads yet. */
function hasReadableBody(response: ResponseLike): response is WithBody {
  if (isBun) void response.headers; // otherwise Bun forgets the content type of a form or a blob
  const { body } = response;
  return body !== null && !body.locked && typeof (body as Partial<ReadableStream>).getReader === "function";
}

/** Whether the host must take the connection over instead of answering. */
export function isUpgrade(value: unknown): boolean {
  if (!isResponse(value)) return true;
  return value.status === 101 || (value.webSocket !== undefined && value.webSocket !== null);
}

/** The same response, whose body is the stream. */
export function withStream(
  response: ResponseLike,
  stream: ReadableStream<unknown>,
  length: number,
): Response {
  return new Response(ofLength(length, stream) as never, initOf(response));
}

/** The same response, whose body is complete, and which says how long it is as the first one would have. */
export function withBytes(response: ResponseLike, bytes: Uint8Array): Response {
  const isPlain = isBun && !response.headers.has("content-type") && !response.headers.has("content-length");
  const complete = new Response((isPlain ? streamOf(bytes) : bytes) as never, initOf(response));
  const { headers } = complete;
  if (!headers.has("content-length") && !headers.has("transfer-encoding"))
    headers.set("content-length", String(bytes.byteLength));
  return complete;
}

/** A stream that is complete at once. To bytes, Bun adds a content type. */
function streamOf(bytes: Uint8Array): ReadableStream<unknown> {
  return new ReadableStream({
    start(controller) {
      if (bytes.byteLength > 0) controller.enqueue(bytes);
      controller.close();
    },
  });
}

function initOf(response: ResponseLike): ResponseInit {
  // In workerd a response has further properties, which only the response itself can hand on.
  if ("webSocket" in response) return response;
  const { status, statusText } = response;
  return { status, statusText, headers: headersOf(response) };
}

function headersOf(response: ResponseLike): Headers {
  if (!isDecoded(response)) return response.headers;
  const headers = new Headers(response.headers);
  for (const name of encodingHeaders) headers.delete(name);
  return headers;
}

/** The headers that no longer describe a body that `fetch` has decoded. */
const encodingHeaders = ["content-encoding", "content-length"] as const;

/**
 * Whether the body is the decoded one, and the host knows it. Deno keeps that in a property of a response that was fetched, and
 * sends such a response without the headers. workerd encodes every such body itself.
 */
function isDecoded(response: ResponseLike): boolean {
  if (!response.headers.has("content-encoding")) return false;
  if (lengthKey !== undefined) return true;
  for (const symbol of Object.getOwnPropertySymbols(response))
    if (symbol.description === "response")
      return (
        (Reflect.get(response, symbol) as { readonly bodyDecoded?: unknown } | undefined)?.bodyDecoded ===
        true
      );
  return false;
}

/** In workerd, the key of the length of a stream: a bigint, or `undefined` if the length is unknown. */
const lengthKey = Object.getOwnPropertySymbols(ReadableStream.prototype).find(
  ({ description }) => description === "length",
);

/** The number of bytes that the response announces; `NaN` if it does not say. To be called before the body is read. */
export function lengthOf(response: WithBody): number {
  const known: unknown = lengthKey === undefined ? undefined : Reflect.get(response.body, lengthKey);
  if (typeof known === "bigint") return Number(known);
  const length = response.headers.get("content-length");
  return length === null || isDecoded(response) ? Number.NaN : Number(length);
}

/** In workerd, the length of a stream is a property of the stream, and the header is not enough. */
function ofLength(length: number, body: ReadableStream<unknown>): ReadableStream<unknown> {
  const { FixedLengthStream } = globalThis as {
    readonly FixedLengthStream?: new (length: number) => TransformStream;
  };
  if (FixedLengthStream === undefined || Number.isNaN(length)) return body;
  const { readable, writable } = new FixedLengthStream(length);
  // Its failure, or that of the client, ends the one and cancels the other.
  body.pipeTo(writable).catch(() => undefined);
  return readable;
}

/** An answer that is given in the handler's place. */
export function answerWith(status: AnswerStatus): Response {
  return new Response(`${answerTexts[status]}\n`, {
    status,
    headers: { "content-type": "text/plain; charset=utf-8" },
  });
}

/** The response to a client that has gone. Nobody receives it; loggers see its status. */
export function disconnected(): Response {
  return new Response(null, { status: 499 });
}

/** Discards a response that is not sent. */
export function discard(value: unknown): void {
  if (isResponse(value) && hasReadableBody(value)) value.body.cancel().catch(() => undefined);
}
