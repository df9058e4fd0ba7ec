import { cancellable, withScope, type Scope } from "bough";
import type pg from "pg";

/**
 * Runs a query on a connection of `pool`. When `scope` is cancelled, the database stops the query.
 *
 * @param control - A second pool to the same database, `new pg.Pool({ ...config, max: 1 })`: all connections of `pool` may be
 *   busy.
 */
export function query<R extends pg.QueryResultRow>(
  scope: Scope,
  pool: pg.Pool,
  control: pg.Pool,
  text: string,
  values: readonly unknown[] = [],
): Promise<R[]> {
  return withScope(scope, { name: "query" }, async (own) => {
    const client: pg.PoolClient & { processID?: number } = await pool.connect();
    client.on("error", ignore); // if the connection breaks, the query rejects
    own.defer(() => {
      client.off("error", ignore);
      client.release();
    });
    const { rows } = await cancellable(
      own,
      () => client.query<R>(text, [...values]),
      () => control.query("select pg_cancel_backend($1)", [client.processID]),
    );
    return rows;
  });
}

const ignore = (): void => {};
