import type { Server } from "node:net";

/**
 * Stops accepting connections, and calls back when the last one is closed.
 *
 * @param lingering - The server's sessions of HTTP/2, if what is on its way is to come in yet. By itself `close()` drops
 *   idle keep-alive connections at once, and from Node 24 refuses each new stream of a session.
 */
export function stopListening(
  server: Server,
  lingering: Iterable<object> | undefined,
  done: () => void,
): void {
  if (!server.listening) {
    server.getConnections((_, count) => (count > 0 ? server.once("close", done) : done()));
    return;
  }
  const restore: (() => void)[] = [];
  if (lingering !== undefined) {
    restore.push(disable(server, "closeIdleConnections"));
    for (const session of lingering) restore.push(disable(session, "close"));
  }
  try {
    server.close(done);
  } finally {
    for (const undo of restore) undo();
  }
}

/** Makes a method do nothing, until what this returns is called. */
function disable(target: object, method: string): () => void {
  const own = Object.getOwnPropertyDescriptor(target, method);
  Object.defineProperty(target, method, { value: () => undefined, configurable: true });
  return () => {
    if (own === undefined) Reflect.deleteProperty(target, method);
    else Object.defineProperty(target, method, own);
  };
}
