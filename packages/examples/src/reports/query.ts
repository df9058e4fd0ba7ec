import { isCancelled, shield, sleep, spawn, withScope, type Scope } from "bough";
import pg from "pg";
import type { Pool } from "./pool.js";

/** Milliseconds after which the database is asked again to cancel a query, and after which that is given up. */
const ASK_AGAIN = 100;
const GIVE_UP = 10_000;

/** The name of the connections that cancel a query of an application. */
export const cancelName = (applicationName = "bough"): string => `${applicationName}: cancel`;

/** The error code of Postgres for a query that was cancelled on request. */
const QUERY_CANCELED = "57014";

/**
 * Runs a query on a connection of `pool`, and returns its rows.
 *
 * **Cancellation:** `pg` has no way to cancel, and a connection that is closed leaves its query running. So the database
 * is asked, on a second connection, to cancel the query. The call waits until the query has ended there, and rejects
 * with the reason. The connection then goes back to the pool. If the rows arrive before that, they are returned.
 *
 * **Failure:** the error of the database. If the database can't be asked within ten seconds, the connection is dropped.
 * The query may then still run, so the call rejects with an error that tells this, and not with the reason.
 *
 * @throws {CancelledError} The reason of `scope` (as a rejection).
 */
export function query<R extends pg.QueryResultRow>(
  scope: Scope,
  pool: Pool,
  text: string,
  values: readonly unknown[] = [],
): Promise<R[]> {
  return withScope(scope, { name: "query" }, async (own) => {
    own.use(await pool.permits.acquire(own));
    const { client, pid } = await connect(own, pool);
    own.throwIfCancelled();

    const running = client.query<R>(text, [...values]);
    const ended = running.then(noop, noop);
    let asked: Promise<unknown> | undefined; // resolves with what went wrong, if anything
    const stop = own.onCancel(() => {
      asked = askToCancel(own, pool, pid, ended).then(noop, (failure: unknown) => {
        void client.end(); // rejects `running`
        return failure;
      });
    });
    try {
      return (await running).rows;
    } catch (error) {
      const failure = await asked;
      if (failure !== undefined) {
        // With the reason among its causes it would count as cancelled.
        const cause = isCancelled(failure) ? {} : { cause: failure };
        throw new Error(`the query of backend ${pid} may still run: it could not be cancelled`, cause);
      }
      throw asked !== undefined && codeOf(error) === QUERY_CANCELED ? own.reason : error;
    } finally {
      stop();
      if (asked !== undefined) {
        await asked;
        // Postgres reports the error before it has rolled back, and a request that came late may hit what comes next.
        await client.query("").catch(noop);
      }
    }
  });
}

/** A connection of the pool for as long as `scope` lasts, and the number of the backend at its other end. */
async function connect(scope: Scope, pool: Pool): Promise<{ client: pg.PoolClient; pid: number }> {
  const client = await pool.clients.connect(); // at once, or it opens one: there are as many as permits
  client.on("error", noop); // a connection that is lost rejects its query, too
  scope.defer(() => {
    client.off("error", noop);
    client.release();
  });
  const pid = pids.get(client) ?? (await pidOf(client));
  pids.set(client, pid);
  return { client, pid };
}

const pids = new WeakMap<pg.ClientBase, number>();

async function pidOf(client: pg.ClientBase): Promise<number> {
  const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
  return rows[0]?.pid ?? 0;
}

/**
 * Asks the database to cancel what a backend does, until `ended`: a request that comes before the query does is lost.
 *
 * On a connection of its own, for the pool's may all be busy. In a shield, for `scope` is cancelled.
 */
function askToCancel(scope: Scope, pool: Pool, pid: number, ended: Promise<void>): Promise<void> {
  return shield(scope, { timeout: GIVE_UP }, async function cancelRequest(last) {
    const client = new pg.Client({
      ...pool.config,
      application_name: cancelName(pool.config.application_name),
      connectionTimeoutMillis: GIVE_UP,
      query_timeout: GIVE_UP,
    });
    client.on("error", noop);
    last.defer(() => client.end());
    await client.connect();
    for (let over = false; !over;) {
      await client.query("select pg_cancel_backend($1)", [pid]);
      const nap = spawn(last, (task) => sleep(task, ASK_AGAIN));
      over = await Promise.race([ended.then(() => true), nap.then(() => false)]);
      nap.cancel();
    }
  });
}

const codeOf = (error: unknown): unknown => (error as { code?: unknown } | undefined)?.code;

const noop = (): void => undefined;
