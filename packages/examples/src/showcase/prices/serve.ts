import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Scope } from "bough";
import { serverScope, type ServerScopeOptions } from "bough/http";

/** A server that listens. */
export interface Listening {
  readonly url: string;
  /** How many sockets its clients have open. */
  sockets(): number;
}

/**
 * Listens on a free loopback port until `parent` ends. Each request has a connection of its own.
 *
 * The scope of the server is a child of `parent`: when that ends, the server shuts down first.
 *
 * @param options - Those of the server's scope.
 */
export async function serve(
  parent: Scope,
  options: ServerScopeOptions,
  listener: RequestListener,
): Promise<Listening> {
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    response.shouldKeepAlive = false; // so that open sockets are requests, and nothing else
    listener(request, response);
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  serverScope(server, { ...options, parent });
  // Here sockets are counted, and the server's `close` may come before that of its last one.
  parent.defer(() => Promise.all([...sockets].map((socket) => once(socket.destroy(), "close"))));
  await once(server.listen(0, "127.0.0.1"), "listening", { signal: parent.signal });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, sockets: () => sockets.size };
}
