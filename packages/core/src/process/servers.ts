import type { ScopeNode } from "../kernel/node.js";

/** A server that the process has. */
export interface StoppableServer {
  readonly node: ScopeNode;
  /** Shuts it down in good order; resolves when it is down. */
  stop(): Promise<unknown>;
}

const servers = new Set<StoppableServer>();
const stopping = new Set<StoppableServer>();
let onServer: (() => void) | undefined;

/** Lets `main` shut a server down. It must not hold the server: those that are dropped are to be collected. */
export function addServer(server: StoppableServer): void {
  servers.add(server);
  onServer?.();
}

export function removeServer(server: StoppableServer): void {
  servers.delete(server);
}

/** Calls back when there is a server; `undefined`: never again. */
export function watchServers(callback: (() => void) | undefined): void {
  onServer = callback;
  if (servers.size > 0) callback?.();
}

/** Shuts all of them down, and waits for them; rejects with the first failure when all are down. */
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
