import { createScope, sleep, suppressed, type Scope, type ScopeHandle } from "bough";
import { Kysely, PostgresDialect, sql as kyselySql } from "kysely";
import pg from "pg";
import postgres from "postgres";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { eventually } from "../../support/eventually.js";
import { startPostgres, whyNoPostgres } from "../../../examples/src/reports/postgres.js";
import { within } from "./kysely.js";
import { query } from "./pg.js";
import { run } from "./postgres-js.js";
import { transaction } from "./transaction.js";

const missing = whyNoPostgres();

/** A pool whose connections may still be closing when the database stops. */
function openPool(config: pg.PoolConfig): pg.Pool {
  return new pg.Pool(config).on("error", () => {});
}

describe.skipIf(missing !== undefined)(
  `a query to Postgres${missing === undefined ? "" : ` (${missing})`}`,
  () => {
    let database: ScopeHandle;
    let control: pg.Pool;
    let pool: pg.Pool;
    const clients: Record<string, (scope: Scope, text: string) => Promise<readonly unknown[]>> = {};

    beforeAll(async () => {
      database = createScope({ name: "database" });
      const connectionString = await startPostgres(database);
      control = openPool({ connectionString, max: 1 });
      database.defer(() => control.end());

      pool = openPool({ connectionString });
      database.defer(() => pool.end());
      clients["pg"] = (scope, text) => query(scope, pool, control, text);

      const url = new URL(connectionString);
      const host = url.searchParams.get("host") ?? url.hostname; // a folder: postgres.js wants it apart
      url.search = "";
      const sql = postgres(url.href, { host });
      database.defer(() => sql.end({ timeout: 1 }));
      clients["postgres.js"] = (scope, text) => run(scope, sql.unsafe(text));

      const db = new Kysely<object>({
        dialect: new PostgresDialect({ pool: openPool({ connectionString }) }),
      });
      database.defer(() => db.destroy());
      clients["Kysely"] = async (scope, text) => (await kyselySql.raw(text).execute(db, within(scope))).rows;
    });
    afterAll(() => database.close());

    const running = async (name: string): Promise<number> => {
      const text =
        "select 1 from pg_stat_activity where state = 'active' and query like $1 and pid <> pg_backend_pid()";
      return (await control.query(text, [`%${name}%`])).rowCount ?? 0;
    };

    it.each(["pg", "postgres.js", "Kysely"])("gives its rows: %s", async (client) => {
      const scope = createScope();
      expect([...((await clients[client]?.(scope, "select 42 as answer")) ?? [])]).toEqual([{ answer: 42 }]);
      await scope.close();
    });

    it.each(["pg", "postgres.js", "Kysely"])(
      "is stopped in the database when its scope is cancelled: %s",
      async (client) => {
        const scope = createScope();
        const rows = clients[client]?.(scope, `select pg_sleep(60), '${client}'`) ?? Promise.resolve();
        rows.catch(() => {});
        await eventually(async () => expect(await running(client)).toBe(1));
        scope.cancel("nobody waits any more");
        await expect(rows).rejects.toBe(scope.reason);
        await eventually(async () => expect(await running(client)).toBe(0));
        await scope.close();
        // And the connection is as good as new.
        const next = createScope();
        expect(await clients[client]?.(next, "select 1 as one")).toHaveLength(1);
        await next.close();
      },
    );

    it.each(["pg", "postgres.js", "Kysely"])("fails with the error of the database: %s", async (client) => {
      const scope = createScope();
      await expect(clients[client]?.(scope, "select nonsense")).rejects.toMatchObject({ code: "42703" });
      await scope.close();
    });

    it("fails, and not the process, when its connection breaks: pg", async () => {
      const scope = createScope();
      const removed = new Promise((resolve) => pool.once("remove", resolve));
      const failed = query(scope, pool, control, "select pg_terminate_backend(pg_backend_pid())");
      await expect(failed).rejects.toMatchObject({ code: "57P01" });
      await removed;
      expect(await query(scope, pool, control, "select 1 as one")).toHaveLength(1);
      await scope.close();
    });

    describe("a transaction", () => {
      beforeAll(() => control.query("create table accounts (name text)"));
      const insert = async (name: string, client: pg.PoolClient): Promise<void> =>
        void (await client.query("insert into accounts values ($1)", [name]));
      const stored = async (name: string): Promise<boolean> =>
        (await control.query("select 1 from accounts where name = $1", [name])).rowCount === 1;

      it("is committed when its body succeeds", async () => {
        const scope = createScope();
        await transaction(scope, pool, async (_, client) => insert("kept", client));
        expect(await stored("kept")).toBe(true);
        await scope.close();
      });

      it("is rolled back when its body fails, and the connection goes back to the pool", async () => {
        const scope = createScope();
        const failure = new Error("no credit");
        const failed = transaction(scope, pool, async (_, client) => {
          await insert("failed", client);
          throw failure;
        });
        await expect(failed).rejects.toBe(failure);
        expect(await stored("failed")).toBe(false);
        expect(pool.idleCount).toBe(pool.totalCount);
        await scope.close();
      });

      it("is rolled back when its scope is cancelled before the commit", async () => {
        const scope = createScope();
        const cancelled = transaction(scope, pool, async (own, client) => {
          await insert("cancelled", client);
          scope.cancel("nobody waits any more");
          await sleep(own, 60_000);
        });
        expect(await cancelled.catch((error: unknown) => error)).toBe(scope.reason);
        expect(await stored("cancelled")).toBe(false);
        expect(pool.idleCount).toBe(pool.totalCount);
        await scope.close();
      });

      it("is rolled back when its body returns after the cancellation", async () => {
        const scope = createScope();
        const cancelled = transaction(scope, pool, async (_, client) => {
          await insert("late", client);
          scope.cancel("nobody waits any more");
        });
        expect(await cancelled.catch((error: unknown) => error)).toBe(scope.reason);
        expect(await stored("late")).toBe(false);
        await scope.close();
      });

      describe("whose rollback fails", () => {
        let one: pg.Pool; // a client that was not released would block the next transaction
        beforeEach(() => {
          one = openPool({ ...pool.options, max: 1 });
        });
        afterEach(() => void one.end()); // would wait for a client that was not released

        const terminate = async (client: pg.PoolClient): Promise<void> => {
          const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() pid");
          const ended = new Promise((resolve) => client.once("end", resolve));
          await control.query("select pg_terminate_backend($1)", [rows[0]?.pid]);
          await ended;
        };

        it("rejects with the failure of its body, and the pool closes the connection", async () => {
          const scope = createScope();
          const failure = new Error("no credit");
          const rollbackFailure = new Error("no answer");
          const failed = transaction(scope, one, async (_, client) => {
            await insert("lost", client);
            const send = client.query.bind(client);
            client.query = ((text: string) =>
              text === "rollback" ? Promise.reject(rollbackFailure) : send(text)) as typeof client.query;
            throw failure;
          });
          expect(await failed.catch((error: unknown) => error)).toBe(failure);
          expect(suppressed(failure)).toEqual([rollbackFailure]);
          expect(one.totalCount).toBe(0);
          expect(await transaction(scope, one, async () => "next")).toBe("next");
          expect(await stored("lost")).toBe(false);
          await scope.close();
        });

        it("frees its place in the pool if the connection broke in its body", async () => {
          const scope = createScope();
          const failed = transaction(scope, one, async (_, client) => {
            await terminate(client);
            await insert("broken", client);
          });
          await expect(failed).rejects.toThrow("not queryable");
          expect(one.totalCount).toBe(one.idleCount);
          expect(await transaction(scope, one, async () => "next")).toBe("next");
          await scope.close();
        });

        it("frees its place in the pool if the connection broke before the commit", async () => {
          const scope = createScope();
          const failed = transaction(scope, one, async (_, client) => {
            await insert("uncommitted", client);
            await terminate(client);
          });
          await expect(failed).rejects.toThrow("not queryable");
          expect(one.totalCount).toBe(one.idleCount);
          expect(await transaction(scope, one, async () => "next")).toBe("next");
          expect(await stored("uncommitted")).toBe(false);
          await scope.close();
        });

        it("frees its place in the pool if the connection broke and the scope is cancelled", async () => {
          const scope = createScope();
          const cancelled = transaction(scope, one, async (own, client) => {
            await terminate(client);
            scope.cancel("nobody waits any more");
            await sleep(own, 60_000);
          });
          await expect(cancelled).rejects.toThrow("not queryable");
          expect(one.totalCount).toBe(one.idleCount);
          const other = createScope();
          expect(await transaction(other, one, async () => "next")).toBe("next");
          await other.close();
          await scope.close().catch(() => {});
        });
      });
    });
  },
);
