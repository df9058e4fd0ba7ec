import type { Duplex } from "node:stream";
import { publishStart } from "../kernel/diagnostics.js";
import { expireCoarseTime, reuseUntilBurstEnd } from "../kernel/monotonic-clock.js";
import { initialGroup, isCancelled } from "../kernel/state.js";
import { addHook } from "../kernel/cancel-hooks.js";
import type { Label } from "../kernel/node.js";
import { backgroundNode } from "../kernel/scope-view.js";
import { onNextTick } from "../kernel/platform.js";
import { cancel } from "../kernel/lifecycle.js";
import { linkChild, makeCancelledChild, makeChild } from "../task/child.js";
import { deadlineHeaderOf, incomingTimeout } from "./deadline-header.js";
import { NodeResponder } from "./node-responder.js";
import { RequestRecord, type RequestHost } from "./request.js";
import { latest, recordOf, responderOf, setRecord } from "./request-records.js";
import { queuedKey } from "./symbols.js";
import type { ServerState } from "./server-state.js";
import {
  closeQueued,
  hasClosed,
  isMock,
  isUpgrade,
  DefaultName,
  socketOf,
  type AnyRequest,
  type AnyResponse,
} from "./messages.js";

// Opens the scope of a request of `node:http` or `node:http2`, and detects the close of its response. Everything in
// between is in request.ts.

/** The host of a request without a server, such as a mock. */
const hostWithoutServer: RequestHost<AnyRequest, AnyResponse> = {
  createResponder: (request, response) => new NodeResponder(request, response),
  onDone: () => undefined,
};

/** Opens the scope of a request with a time limit, even if its handler never reads it. */
export function openIfLimited(request: AnyRequest, response: AnyResponse, server: ServerState): void {
  const header = deadlineHeaderOf(server.deadlineHeader);
  const isLimited = server.timeout !== undefined || (header !== undefined && header in request.headers);
  if (isLimited && recordOf(request) === undefined) openRequest(request, response, server);
}

/**
 * Opens the scope of a request.
 *
 * @param handle - Handles the request. Called last, in the stores that are bound to the diagnostics channel of scopes.
 */
export function openRequest(
  request: AnyRequest,
  response: AnyResponse,
  server: ServerState | undefined,
  label?: Label,
  handle?: () => void,
): RequestRecord {
  expireCoarseTime(); // another request may have blocked the event loop
  const parent = server?.node ?? backgroundNode;
  const isLatest = request === latest.request && response === latest.response;
  const responder = responderOf(request);
  const name = label ?? responder?.name;
  const title = name ?? new DefaultName(request);
  // A request that arrives after the cancellation of the server's scope has its reason, even if its owner has closed
  // it.
  const isLate = isCancelled(parent);
  const node = isLate
    ? makeCancelledChild(parent, title, initialGroup)
    : makeChild("requestScope", parent, title, initialGroup);
  const record = new RequestRecord(node, request, response, server ?? hostWithoutServer, responder);
  record.hasDefaultName = name === undefined;
  setRecord(request, record);
  if (!isLate) {
    reuseUntilBurstEnd(); // the time, for the tasks of the handler
    linkChild(node, undefined, undefined);
    node.observer = record;
    addHook(node, record);
    const stores = publishStart(node, "request");
    if (stores !== undefined) {
      stores.run(complete, record, server, isLatest, handle);
      return record;
    }
  } else {
    server?.addLateRequest(record);
    record.watchHandler();
  }
  complete(record, server, isLatest, handle);
  return record;
}

function complete(
  record: RequestRecord,
  server: ServerState | undefined,
  isLatest: boolean,
  handle: (() => void) | undefined,
): void {
  const { request, response } = record;
  // Before the listeners of loggers and metrics, which read the response.
  response.prependListener("close", () => record.done());
  if (!isLatest) {
    listenToSockets(request, response, record);
    server?.track(request, response); // this request may have caused the server's scope to be created
  }
  if (server !== undefined) applyLimits(record, server);
  if (isLatest ? response.destroyed : hasClosed(request, response)) record.done();
  handle?.();
}

/** Applies the limits that the server sets to each request. */
function applyLimits(record: RequestRecord, { timeout, deadlineHeader }: ServerState): void {
  if (timeout !== undefined) record.limit(timeout);
  const header = deadlineHeaderOf(deadlineHeader);
  const left = header === undefined ? undefined : incomingTimeout(record.request.headers[header]);
  if (left !== undefined && record.limit(left)) record.hasIncomingDeadline = true;
}

/** Listens for what closes no response: the end of an upgraded socket, and the end of a connection before the response's turn. */
function listenToSockets(request: AnyRequest, response: AnyResponse, record: RequestRecord): void {
  const { socket } = request;
  if (isMock(request)) response.once("finish", () => onNextTick(() => record.done())); // `end` may still run
  // Almost every request. On Node 20 each look at a property of Express's objects takes a microsecond.
  if (
    (request as { upgrade?: boolean }).upgrade === false &&
    (response as { socket?: object }).socket === socket
  )
    return;
  const upgraded = isUpgrade(request, response) ? socketOf(response) : undefined;
  record.upgradedSocket = upgraded;
  const endingSocket = response === socket && request.httpVersionMajor < 2 ? socket : upgraded;
  endingSocket?.prependOnceListener("end", () => peerEnded(endingSocket, record));
  // A pipelined response gets no socket before its turn, and on Node 20 no `close` when the socket dies before.
  if (request.httpVersionMajor < 2 && "assignSocket" in response && response.socket === null)
    addQueued(socket, response, record);
}

function addQueued(socket: QueuingSocket | undefined, response: AnyResponse, record: RequestRecord): void {
  if (socket === undefined || typeof socket.on !== "function") return;
  if (socket[queuedKey] === undefined) {
    socket[queuedKey] = new Set();
    socket.on("close", socketClosed);
  }
  const queued = socket[queuedKey];
  queued.add(record);
  response.once("close", () => queued.delete(record));
}

/**
 * Cancels the request of an upgraded socket whose peer has ended, if our side is ended in response, as WebSocket libraries do
 * when a connection breaks off. Otherwise the peer still waits for data.
 */
function peerEnded(socket: Duplex, { node }: RequestRecord): void {
  if (socket.writableEnded) return;
  onNextTick(() => {
    if (socket.writableEnded || !socket.allowHalfOpen) cancel(node, "disconnected", undefined);
  });
}

/** The slot of a socket. See symbols.ts. */
interface QueuingSocket {
  [queuedKey]?: Set<RequestRecord>;
  on(event: "close", listener: (this: QueuingSocket) => void): unknown;
}

function socketClosed(this: QueuingSocket): void {
  for (const record of this[queuedKey] ?? []) {
    closeQueued(record.response);
    record.done();
  }
}
