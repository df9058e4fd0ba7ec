import { cancellable, withScope, type Scope } from "bough";
import type { Pool, QueryResult } from "mysql2/promise";

/**
 * Runs a query on a connection of `pool`. When `scope` is cancelled, the database stops the query.
 *
 * @param control - A second pool to the same database, `createPool({ ...config, connectionLimit: 1 })`: all connections of
 *   `pool` may be busy.
 */
export function query<R extends QueryResult>(
  scope: Scope,
  pool: Pool,
  control: Pool,
  sql: string,
  values: readonly unknown[] = [],
): Promise<R> {
  return withScope(scope, { name: "query" }, async (own) => {
    const connection = await pool.getConnection();
    own.defer(() => connection.release());
    const [rows] = await cancellable(
      own,
      () => connection.query<R>(sql, [...values]),
      () => control.query("kill query ?", [connection.threadId]),
    );
    return rows;
  });
}
