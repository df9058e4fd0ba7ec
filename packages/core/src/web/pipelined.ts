import { isObjectLike } from "../errors/user-values.js";
import { closeQueued, type QueuedResponse } from "../http/messages.js";
import { argumentList, type HostArguments } from "./host-arguments.js";

// Before version 24, Node does not notify a response of the close of its connection as long as the response waits behind that
// of an earlier pipelined request: it has no socket yet. The hosts on Node rely on the event `close` of the response, so
// the request would never end. Here the event is emitted for such responses, as newer versions do.

interface Connection {
  readonly destroyed: boolean;
  once(event: "close", listener: () => void): void;
}

/** The part of a `ServerResponse` of Node that is used. */
interface NodeResponse extends QueuedResponse {
  readonly req: { readonly socket: Connection };
  once(event: "close", listener: () => void): void;
}

/** The responses that wait behind others, by their connection. */
const queues = new WeakMap<Connection, Set<NodeResponse>>();

/** Notifies the host when the connection of a request closes, if its response waits behind others. */
export function followConnection(request: Request, rest: HostArguments): void {
  const response = responseOf(request, argumentList(rest)[0]);
  if (response === undefined || response.socket !== null || response.destroyed) return;
  const { socket } = response.req;
  if (socket.destroyed) return closeQueued(response);
  const queue = queues.get(socket) ?? openQueue(socket);
  if (queue.has(response)) return;
  queue.add(response);
  response.once("close", () => queue.delete(response));
}

/** One listener for all responses of a connection. */
function openQueue(socket: Connection): Set<NodeResponse> {
  const queue = new Set<NodeResponse>();
  queues.set(socket, queue);
  socket.once("close", () => {
    for (const response of queue) closeQueued(response);
  });
  return queue;
}

/** The response of Node, if the host is node-server, which passes it as an argument, or srvx. */
function responseOf(request: Request, argument: unknown): NodeResponse | undefined {
  const { runtime } = request as { readonly runtime?: { readonly node?: { readonly res?: unknown } } };
  const env = isObjectLike(argument) && "env" in argument ? argument.env : argument; // of a context of Hono
  const found = runtime?.node?.res ?? (env as { readonly outgoing?: unknown } | null | undefined)?.outgoing;
  return isObjectLike(found) && "req" in found && "emit" in found ? (found as NodeResponse) : undefined;
}
