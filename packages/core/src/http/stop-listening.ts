import type { Server } from "node:net";
import { connectionsOf } from "./connections.js";
import { onTurn, realTimers } from "../kernel/platform.js";
import { disable } from "./disable.js";
import { within } from "./within.js";

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
    if (connectionsOf(server).isBinding) return void server.close(() => done()); // cancels that
    server.getConnections((_, count) => (count > 0 ? server.once("close", done) : done()));
    return;
  }
  const restore: (() => void)[] = [];
  if (lingering !== undefined) {
    restore.push(disable(server, "closeIdleConnections"));
    for (const session of lingering) restore.push(disable(session, "close"));
  }
  try {
    server.close(() => done());
  } finally {
    for (const undo of restore) undo();
  }
}

/** How long to wait for a name that is looked up before that is given up. */
const MAX_BINDING = 1_000;

/**
 * Resolves when no `listen()` is under way any more. Who waits for that one hears of its end, as Node says nothing of a
 * `listen()` that `close()` has cancelled: `await once(server, "listening")` would wait for ever. `false`: it takes too long.
 */
export function whenBound(server: Server): Promise<boolean> | undefined {
  if (!connectionsOf(server).isBinding) return undefined;
  const bound = new Promise<void>((resolve) => {
    const over = (): void => {
      for (const event of events) server.off(event, over);
      onTurn(resolve); // whoever waits for the event may look at the server's address
    };
    const events = ["listening", "error", "close"];
    for (const event of events) server.on(event, over);
  });
  return within(MAX_BINDING, bound, realTimers);
}
