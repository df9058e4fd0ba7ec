import { createSemaphore, type Scope, type Semaphore } from "bough";
import pg from "pg";

/** Connections to the database, and as many permits: waiting for a permit ends with the scope that waits. */
export interface Pool {
  readonly clients: pg.Pool;
  readonly permits: Semaphore;
  /** For a connection beside those of the pool. */
  readonly config: pg.PoolConfig;
}

/** Opens a pool that is closed at the end of `scope`, when everything in `scope` has settled. */
export function openPool(scope: Scope, config: pg.PoolConfig): Pool {
  const clients = new pg.Pool(config);
  const open = new Set<pg.PoolClient>();
  clients.on("connect", (client) => void open.add(client));
  clients.on("remove", (client) => void open.delete(client));
  clients.on("error", () => undefined); // an idle connection was lost: the next query opens another
  scope.defer(async () => {
    await clients.end();
    // `end` does not wait for the connections that it ends.
    while (open.size > 0) await new Promise<void>((resolve) => clients.once("remove", () => resolve()));
  });
  return { clients, permits: createSemaphore(clients.options.max), config };
}
