import { wrongType } from "../errors/validate.js";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { Duplex } from "node:stream";

// The requests and responses of `node:http` and `node:http2`, and of mocks of them, and their properties. The file keeps no
// state.

/** A request of HTTP/1.1 or of HTTP/2, as `node:http` and the compatibility API of `node:http2` make it. */
export type AnyRequest = IncomingMessage | Http2ServerRequest;

/** The response to a request, or the socket that it was upgraded to. */
export type AnyResponse = ServerResponse | Http2ServerResponse | Duplex;

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

/** Whether the response has closed before the handler ended it: the client has gone (rule 28). */
export function isAbandoned(request: AnyRequest, response: AnyResponse): boolean {
  return !response.writableEnded && hasClosed(request, response);
}

/** Whether the client has gone away. Body parsers notice it before the response does. */
export function isDisconnected(request: AnyRequest, response: AnyResponse): boolean {
  return isAbandoned(request, response) || (request.aborted && !response.writableEnded);
}

/** Whether the handler has ended the response. An upgraded socket is never known to have ended. */
export function hasEnded(response: AnyResponse): boolean {
  return isResponse(response) && response.writableEnded;
}

/**
 * Whether a request was upgraded although it has a response as well: some frameworks route upgrades like requests. Then the
 * socket counts.
 */
export function isUpgrade(request: AnyRequest, response: AnyResponse): boolean {
  if (!isResponse(response)) return false;
  // A mock may be no request of Node's, and lack the property.
  const { upgrade = request.headers["upgrade"] !== undefined } = request as { upgrade?: boolean };
  return upgrade && request.httpVersionMajor !== 2;
}

/** The socket of such a request. */
export function socketOf(response: AnyResponse): Duplex | undefined {
  return ("socket" in response ? (response.socket as Duplex | null) : undefined) ?? undefined;
}

/** Method and path, for a request whose route is not known. Routers rewrite `url`; the query may hold secrets. */
export function nameOf(request: AnyRequest): string {
  const url = (request as { originalUrl?: string }).originalUrl ?? request.url ?? "";
  const query = url.indexOf("?");
  return `${request.method} ${query < 0 ? url : url.slice(0, query)}`;
}

/**
 * Checks the arguments of a function that each request may call. The properties are named here and not passed: the engine looks
 * for a property that is a variable in a table of all programs.
 *
 * @throws {TypeError} If one of them does not come from an HTTP server.
 */
export function checkMessages(operation: string, request: unknown, response: unknown): void {
  if (!(typeof request === "object" && request !== null && "headers" in request))
    throw wrongType(operation, "request must come from an HTTP server", request);
  if (!(typeof response === "object" && response !== null && "writableEnded" in response))
    throw wrongType(operation, "response must come from an HTTP server", response);
}
