import type { ScopeNode } from "../kernel/node.js";

// A registry of the servers with a scope, so that `main` can shut them down without importing http/.

/** A server of the process. */
export interface StoppableServer {
  readonly node: ScopeNode;
  /** Shuts the server down, with its grace period. */
  stop(): Promise<unknown>;
}

const servers = new Set<StoppableServer>();
const stopping = new Set<StoppableServer>();
let onServer: (() => void) | undefined;

/**
 * Adds a server for `main` to shut down. `server` must not reference the actual server, which must stay collectable.
 */
export function addServer(server: StoppableServer): void {
  servers.add(server);
  onServer?.();
}

export function removeServer(server: StoppableServer): void {
  servers.delete(server);
}

/** Sets the callback that runs when a server is added. `undefined` removes it. */
export function watchServers(callback: (() => void) | undefined): void {
  onServer = callback;
  if (servers.size > 0) callback?.();
}

/** Shuts all servers down. If one fails, rejects with the first failure after all have ended. */
export async function stopServers(): Promise<void> {
  const outcomes = await Promise.allSettled([...servers].map(stop));
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
}

async function stop(server: StoppableServer): Promise<void> {
  stopping.add(server);
  try {
    await server.stop();
  } finally {
    stopping.delete(server);
  }
}

/** The scopes of the servers that are being shut down. */
export function stoppingServers(): ScopeNode[] {
  return [...stopping].map(({ node }) => node);
}
