import { once } from "node:events";
import { createServer, type RequestListener, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Scope } from "bough";

/** A server that listens. */
export interface Listening {
  readonly url: string;
  /** How many sockets its clients have open. */
  sockets(): number;
}

/** Listens on a free loopback port until `scope` ends. Each request has a connection of its own. */
export async function serve(scope: Scope, listener: RequestListener): Promise<Listening> {
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    response.shouldKeepAlive = false; // so that open sockets are requests, and nothing else
    listener(request, response);
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  scope.defer(async () => {
    server.close();
    // The server's own `close` may come before that of its last sockets.
    await Promise.all(
      [...sockets].map((socket) => new Promise((end) => socket.destroy().once("close", end))),
    );
  });
  await once(server.listen(0, "127.0.0.1"), "listening", { signal: scope.signal });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, sockets: () => sockets.size };
}

/** The cause of a cancellation: the client hung up before it had its answer. */
export class ClientGone extends Error {
  static {
    this.prototype.name = "ClientGone";
  }

  constructor() {
    super("the client hung up");
  }
}

/**
 * Cancels the scope of a request when its client goes away. What the response then looks like is what tells: it
 * emits `close` although it was never ended. (The request's own `close` would also come after a body.)
 */
export function cancelOnHangUp(scope: Scope, response: ServerResponse): void {
  response.once("close", () => {
    if (!response.writableEnded) scope.cancel(new ClientGone());
  });
}
