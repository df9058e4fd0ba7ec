import type { RequestRecord } from "./request-record.js";
import type { Responder } from "./responder.js";
import type { AnyRequest } from "./types.js";

const key: unique symbol = Symbol("bough.requestScope");
const responderKey: unique symbol = Symbol("bough.responder");

/**
 * What we keep on a request. Nothing is kept on its response: Express changes the prototypes of both, after which a new
 * property takes as long as half a task, and on Node 20 several microseconds.
 */
interface Recorded {
  [key]?: RequestRecord | undefined;
  [responderKey]?: Responder;
}

/** The record of a request whose handler has asked for its scope. */
export function recordOf(request: AnyRequest): RequestRecord | undefined {
  return (request as Recorded)[key];
}

export function setRecord(request: AnyRequest, record: RequestRecord): void {
  (request as Recorded)[key] = record;
}

/** Tells whoever answers in the handler's place how its framework does it. */
export function noteResponder(request: AnyRequest, responder: Responder): void {
  const recorded = request as Recorded;
  recorded[responderKey] = responder;
  const record = recorded[key];
  if (record === undefined) return;
  record.responder = responder;
  if (record.hasDefaultName && responder.name !== undefined) record.node.label = responder.name;
}

export function responderOf(request: AnyRequest): Responder | undefined {
  return (request as Recorded)[responderKey];
}
