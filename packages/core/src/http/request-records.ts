import type { AnyRequest, AnyResponse } from "./messages.js";
import type { RequestRecord } from "./request.js";
import type { Responder } from "./responder.js";
import { recordKey, responderKey } from "./symbols.js";

// Finds the record and the responder of a request. They are properties of the request. For the request that arrived last they are
// in variables as well, because most handlers open the scope of their request before the next one arrives. On Node 20, reading a
// property of a request of Express takes a microsecond.

/** The slots of a request. See symbols.ts. */
interface RequestSlots {
  [recordKey]?: RequestRecord | undefined;
  [responderKey]?: Responder;
}

/** The request that arrived last on a connection of HTTP/1.1, until its response or its connection has closed. */
export const latest: {
  request: AnyRequest | undefined;
  response: AnyResponse | undefined;
  /** The state of the server. */
  server: { readonly integration: unknown } | undefined;
  record: RequestRecord | undefined;
  responder: Responder | undefined;
} = { request: undefined, response: undefined, server: undefined, record: undefined, responder: undefined };

/** Called when a request has arrived whose response has the socket. It may have slots: a server can emit it a second time. */
export function setLatest(
  request: AnyRequest,
  response: AnyResponse,
  server: { readonly integration: unknown },
): void {
  latest.request = request;
  latest.response = response;
  latest.server = server;
  readSlots(request);
}

function readSlots(request: AnyRequest): void {
  const { [recordKey]: record, [responderKey]: responder } = request as RequestSlots;
  latest.record = record;
  latest.responder = responder;
}

/** Releases a request whose response has closed. */
export function forgetLatest(request: AnyRequest): void {
  if (request === latest.request) clearLatest();
}

/** Releases the request of a socket that has closed. It may not be the last one of the socket (pipelining). */
export function forgetLatestOf(socket: object): void {
  if (latest.request?.socket === socket) clearLatest();
}

function clearLatest(): void {
  latest.request = latest.response = latest.server = latest.record = latest.responder = undefined;
}

/** The record of a request, if its scope has been opened. */
export function recordOf(request: AnyRequest): RequestRecord | undefined {
  return request === latest.request ? latest.record : (request as RequestSlots)[recordKey];
}

export function setRecord(request: AnyRequest, record: RequestRecord): void {
  (request as RequestSlots)[recordKey] = record;
  if (request === latest.request) {
    latest.record = record;
    return;
  }
  // `request` may be an object with the server's request as its prototype, or a proxy of it.
  const { req: original } = record.response as { readonly req?: RequestSlots };
  if (original !== undefined) original[recordKey] = record;
  if (latest.request !== undefined) readSlots(latest.request);
}

/** The responder that a framework has set on a request. */
export function responderOf(request: AnyRequest): Responder | undefined {
  return request === latest.request ? latest.responder : (request as RequestSlots)[responderKey];
}

/** Sets the responder of a request. */
export function setResponder(request: AnyRequest, responder: Responder): void {
  const record = recordOf(request);
  (request as RequestSlots)[responderKey] = responder;
  if (request === latest.request) latest.responder = responder;
  else if (latest.request !== undefined) readSlots(latest.request);
  if (record === undefined) return;
  record.responder = responder;
  if (record.hasDefaultName && responder.name !== undefined) record.node.label = responder.name;
}
