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
    client.on("error", ignore); // if the connection breaks, the next query rejects
    let done = false;
    own.defer(async () => {
      let failed = true;
      try {
        if (!done) await client.query("rollback");
        failed = false;
      } finally {
        client.off("error", ignore);
        client.release(failed); // the pool closes a client that may still be in the transaction
      }
    });
    await client.query("begin");
    const result = await withScope(own, (inner) => body(inner, client));
    own.throwIfCancelled();
    await client.query("commit");
    done = true;
    return result;
  });
}

const ignore = (): void => {};

// await transaction(scope, pool, async (own, client) => {
//   await client.query("update accounts set balance = balance - 10 where id = 1");
//   await checkCredit(own.signal);
//   await client.query("update accounts set balance = balance + 10 where id = 2");
// });
