import type { ScopeNode } from "../kernel/node.js";

// The servers of the process that have a scope: a registry, so that `main` shuts them down without importing http/.

/** A server of the process. */
export interface StoppableServer {
  readonly node: ScopeNode;
  /** Shuts the server down, with its grace period. */
  stop(): Promise<unknown>;
}

const servers = new Set<StoppableServer>();
const stopping = new Set<StoppableServer>();
let onServer: (() => void) | undefined;

/** Adds a server for `main` to shut down. `server` must not hold the actual server, which can be collected when dropped. */
export function addServer(server: StoppableServer): void {
  servers.add(server);
  onServer?.();
}

export function removeServer(server: StoppableServer): void {
  servers.delete(server);
}

/** Calls back when there is a server. `undefined` removes the callback. */
export function watchServers(callback: (() => void) | undefined): void {
  onServer = callback;
  if (servers.size > 0) callback?.();
}

/** Shuts all servers down. Rejects with the first failure when all are down. */
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
