import { withScope, type Scope } from "bough";
import type pg from "pg";

/** Runs `body` in a transaction. It is rolled back if `body` fails, and if `scope` is cancelled before the commit. */
export function transaction<T>(
  scope: Scope,
  pool: pg.Pool,
  body: (own: Scope, client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  return withScope(scope, { name: "transaction" }, async (own) => {
    const client = await pool.connect();
    let done = false;
    own.defer(async () => {
      if (!done) await client.query("rollback");
      client.release();
    });
    await client.query("begin");
    const result = await withScope(own, (inner) => body(inner, client));
    own.throwIfCancelled();
    await client.query("commit");
    done = true;
    return result;
  });
}

// await transaction(scope, pool, async (own, client) => {
//   await client.query("update accounts set balance = balance - 10 where id = 1");
//   await checkCredit(own.signal);
//   await client.query("update accounts set balance = balance + 10 where id = 2");
// });
