import { wrongType } from "../errors/validate.js";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { Duplex } from "node:stream";

// The properties of requests and responses of `node:http` and `node:http2`, and of their mocks. This file has no state.

/** A request of HTTP/1.1 or of HTTP/2, as `node:http` and the compatibility API of `node:http2` make it. */
export type AnyRequest = IncomingMessage | Http2ServerRequest;

/** The response to a request, or the socket that it was upgraded to. */
export type AnyResponse = ServerResponse | Http2ServerResponse | Duplex;

/** A response that may wait behind those of earlier pipelined requests: it has no socket yet. */
export interface QueuedResponse {
  readonly socket?: object | null;
  destroyed: boolean;
  /** Set by Node, behind the property `closed`. */
  _closed?: boolean;
  emit(event: "close"): boolean;
}

/**
 * Notifies a response that waits behind others that its connection has closed, as Node does since version 24: pipelines and
 * frameworks end their streams on `close`.
 */
export function closeQueued(response: QueuedResponse): void {
  if (response.socket !== null || response.destroyed) return;
  response.destroyed = true;
  response._closed = true; // what `finished()` of node:stream goes by
  response.emit("close");
}

/** Whether the request was answered with a response, not with an upgraded socket. */
export function isResponse(response: AnyResponse): response is ServerResponse {
  return "headersSent" in response && "writeHead" in response;
}

/** Whether the response of a request, or the connection below it, has closed. */
export function hasClosed(request: AnyRequest, response: AnyResponse): boolean {
  if (response.destroyed) return true;
  if (request.httpVersionMajor === 2) {
    const { stream } = request as Partial<Http2ServerRequest>;
    return stream === undefined || stream.destroyed || stream.closed;
  }
  // A mock of `inject()` may have no socket.
  return (request.socket as { destroyed?: boolean } | undefined)?.destroyed === true;
}

/** Whether the response has closed before the handler ended it: the client has disconnected (rule 28). */
export function isAbandoned(request: AnyRequest, response: AnyResponse): boolean {
  return !response.writableEnded && hasClosed(request, response);
}

/** Whether the client has disconnected. Body parsers notice it before the response does. */
export function isDisconnected(request: AnyRequest, response: AnyResponse): boolean {
  return isAbandoned(request, response) || (request.aborted && !response.writableEnded);
}

/** Whether the handler has ended the response. An upgraded socket is never known to have ended. */
export function hasEnded(response: AnyResponse): boolean {
  return isResponse(response) && response.writableEnded;
}

/**
 * Whether a request was upgraded although it has a response: some frameworks route upgrades like requests. The end of
 * its socket is then the end of the request.
 */
export function isUpgrade(request: AnyRequest, response: AnyResponse): boolean {
  if (!isResponse(response)) return false;
  // A mock may lack the property.
  const { upgrade = request.headers["upgrade"] !== undefined } = request as { upgrade?: boolean };
  return upgrade && request.httpVersionMajor !== 2;
}

/** Whether a request came through no server: in a test, or on a serverless platform. Its connection may never close. */
export function isMock(request: AnyRequest): boolean {
  const { socket } = request as { socket?: { server?: object } };
  return request.httpVersionMajor !== 2 && socket?.server === undefined;
}

/** The socket of an upgraded request. */
export function socketOf(response: AnyResponse): Duplex | undefined {
  return ("socket" in response ? (response.socket as Duplex | null) : undefined) ?? undefined;
}

/** The name of a request whose route is not known: method and path. Joined on the first read, since most names are never read. */
export class DefaultName {
  readonly #method: string | undefined;
  readonly #url: string;

  constructor(request: AnyRequest) {
    this.#method = request.method; // middleware may override it
    this.#url = (request as { originalUrl?: string }).originalUrl ?? request.url ?? ""; // routers rewrite `url`
  }

  get name(): string {
    const url = this.#url;
    const query = url.indexOf("?"); // it may hold secrets
    return `${this.#method} ${query < 0 ? url : url.slice(0, query)}`;
  }
}

/**
 * Checks the arguments of a function that is called for each request. The names of the properties are literals for
 * speed: V8 looks a computed name up in a global cache.
 *
 * @throws {TypeError} If one of them does not come from an HTTP server.
 */
export function checkMessages(operation: string, request: unknown, response: unknown): void {
  if (!(typeof request === "object" && request !== null && "headers" in request))
    throw wrongType(operation, "request must come from an HTTP server", request);
  if (!(typeof response === "object" && response !== null && "writableEnded" in response))
    throw wrongType(operation, "response must come from an HTTP server", response);
}
