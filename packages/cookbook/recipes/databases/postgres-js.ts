import { cancellable, type Scope } from "bough";
import type postgres from "postgres";

/** Runs a query. When `scope` is cancelled, the database stops it. */
export function run<T extends readonly (object | undefined)[]>(
  scope: Scope,
  query: postgres.PendingQuery<T>,
): Promise<postgres.RowList<T>> {
  return cancellable(
    scope,
    () => query,
    () => query.cancel(),
  );
}

// const users = await run(scope, sql`select * from users where id = ${id}`);
