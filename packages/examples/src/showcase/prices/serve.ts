import { once } from "node:events";
import { createServer, type RequestListener, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Scope } from "bough";

/** A server that listens. */
export interface Listening {
  readonly url: string;
  /** How many sockets its clients have open. */
  sockets(): number;
}

/** Listens on a free loopback port until `scope` ends. Each request has a connection of its own. */
export async function serve(scope: Scope, listener: RequestListener): Promise<Listening> {
  let sockets = 0;
  const server = createServer((request, response) => {
    response.shouldKeepAlive = false; // so that open sockets are requests, and nothing else
    listener(request, response);
  });
  server.on("connection", (socket) => {
    sockets += 1;
    socket.once("close", () => (sockets -= 1));
  });
  scope.defer(async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  });
  await once(server.listen(0, "127.0.0.1"), "listening", { signal: scope.signal });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, sockets: () => sockets };
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
