import type { Duplex } from "node:stream";
import { opening } from "../kernel/channels.js";
import { BODY, CANCELLED } from "../kernel/flags.js";
import { addHook } from "../kernel/hook.js";
import { backgroundNode, ScopeNode } from "../kernel/node.js";
import { onNextTick } from "../kernel/platform.js";
import { cancel } from "../kernel/settle.js";
import { link } from "../kernel/tree.js";
import { admits, bornCancelled } from "../task/admit.js";
import { deadlineHeaderOf, incomingTimeout } from "./deadline-header.js";
import type { FastifyLike } from "./quiet-reply.js";
import { RequestRecord } from "./request-record.js";
import type { ServerState } from "./server-state.js";
import { isOver, type AnyRequest, type AnyResponse } from "./types.js";

const key: unique symbol = Symbol("bough.requestScope");
const replyKey: unique symbol = Symbol("bough.reply");

/**
 * What we keep on a request. Nothing is kept on its response: Express changes the prototypes of both, after which a new
 * property takes as long as half a task, and on Node 20 several microseconds.
 */
interface Recorded {
  [key]?: RequestRecord | undefined;
  [replyKey]?: FastifyLike;
}

/** Tells whoever answers in the handler's place of Fastify's reply. */
export function noteReply(request: AnyRequest, reply: FastifyLike): void {
  const recorded = request as Recorded;
  recorded[replyKey] = reply;
  if (recorded[key] !== undefined) recorded[key].reply = reply;
}

export function replyOf(request: AnyRequest): FastifyLike | undefined {
  return (request as Recorded)[replyKey];
}

/** The record of a request whose handler has asked for its scope. */
export function recordOf(request: AnyRequest): RequestRecord | undefined {
  return (request as Recorded)[key];
}

/** Opens the scope of a request whose time is limited, whether its handler asks for it or not. */
export function openIfBounded(request: AnyRequest, response: AnyResponse, server: ServerState): void {
  const header = deadlineHeaderOf(server.deadlineHeader);
  const bounded = server.timeout !== undefined || (header !== undefined && header in request.headers);
  if (bounded && recordOf(request) === undefined) openRequest(request, response, server);
}

/**
 * Makes the scope of a request that has none.
 *
 * @param handle - Called when all is in place, in the stores that are bound to the channel of scopes: what handles the
 *   request.
 */
export function openRequest(
  request: AnyRequest,
  response: AnyResponse,
  server: ServerState | undefined,
  name: string = nameOf(request),
  handle?: () => void,
): RequestRecord {
  const parent = server?.node ?? backgroundNode;
  const node = new ScopeNode(parent, name, BODY);
  // A request that comes when the server's scope has ended is cancelled as that was.
  const admitted = (parent.flags & CANCELLED) === 0 && admits("requestScope", parent);
  const record = new RequestRecord(node, request, response, server);
  record.reply = replyOf(request);
  (request as Recorded)[key] = record;
  if (admitted) {
    link(parent, node);
    node.observer = record;
    addHook(node, record);
    const stores = opening(node, "request");
    if (stores !== undefined) {
      stores.run(complete, record, server, handle);
      return record;
    }
  } else {
    node.flags &= ~BODY;
    bornCancelled(node);
    server?.addLate(record);
  }
  complete(record, server, handle);
  return record;
}

function complete(
  record: RequestRecord,
  server: ServerState | undefined,
  handle: (() => void) | undefined,
): void {
  const { request, response } = record;
  listen(request, response, record);
  if (server !== undefined) {
    server.track(request, response); // the server's scope may have been made for this request
    applyServer(record, server);
  }
  if (isOver(request, response)) record.done();
  handle?.();
}

/** What the server wants of each request. */
function applyServer(record: RequestRecord, { timeout, deadlineHeader }: ServerState): void {
  if (timeout !== undefined) record.bound(timeout);
  const header = deadlineHeaderOf(deadlineHeader);
  const left = header === undefined ? undefined : incomingTimeout(record.request, header);
  if (left !== undefined && record.bound(left)) record.travelled = true;
}

/** Routers rewrite `url`; the query may hold secrets. */
function nameOf(request: AnyRequest): string {
  const url = (request as { originalUrl?: string }).originalUrl ?? request.url ?? "";
  const query = url.indexOf("?");
  return `${request.method} ${query < 0 ? url : url.slice(0, query)}`;
}

function listen(request: AnyRequest, response: AnyResponse, record: RequestRecord): void {
  const closed = (): void => {
    response.removeListener("close", closed);
    (request.socket as Queue | undefined)?.[queued]?.delete(record);
    record.done();
  };
  response.on("close", closed);
  if (request.httpVersionMajor < 2 && response === request.socket)
    response.prependOnceListener("end", () => peerEnded(request.socket, record));
  // A pipelined response gets no socket before its turn, and on Node 20 no `close` when the socket dies before.
  const waits = request.httpVersionMajor < 2 && "assignSocket" in response && response.socket === null;
  const { socket } = request as { socket?: Queue };
  if (!waits || socket === undefined || typeof socket.on !== "function") return;
  if (socket[queued] === undefined) {
    socket[queued] = new Set();
    socket.on("close", socketClosed);
  }
  socket[queued].add(record);
}

/**
 * The peer of an upgraded socket says that it will send no more. If the socket is ended upon that, its peer was gone:
 * so do libraries for WebSockets when one breaks off. Else it waits for what it is still sent.
 */
function peerEnded(socket: Duplex, { node }: RequestRecord): void {
  if (socket.writableEnded) return;
  onNextTick(() => {
    if (socket.writableEnded || !socket.allowHalfOpen) cancel(node, "disconnected", undefined);
  });
}

const queued: unique symbol = Symbol("bough.queuedRequests");

/** A socket, with the requests on it whose responses wait for their turn: one listener for all of them. */
interface Queue {
  [queued]?: Set<RequestRecord>;
  on(event: "close", listener: (this: Queue) => void): unknown;
}

function socketClosed(this: Queue): void {
  for (const record of this[queued] ?? []) record.done();
}
