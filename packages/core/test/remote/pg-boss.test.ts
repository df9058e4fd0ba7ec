import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { describe } from "vitest";
import { pgBossEngine } from "../../src/pg-boss/index.js";
import { testEngine } from "../support/engine-tests.js";
import { startPostgres, whyNoPostgres } from "../support/postgres.js";
import { Proxy } from "../support/proxy.js";

const missing = await whyNoPostgres();
const title = missing === undefined ? "pg-boss" : `pg-boss (skipped: ${missing})`;

describe.skipIf(missing !== undefined)(`${title}`, () => {
  testEngine(async (scope) => {
    const postgres = await startPostgres(scope);
    const query = async (...texts: string[]): Promise<void> => {
      const client = new pg.Client(postgres.url);
      await client.connect();
      for (const text of texts) await client.query(text);
      await client.end();
    };
    return {
      open: async (process) => {
        const folder = await mkdtemp(join(tmpdir(), `bough-pg-${process}-`));
        scope.defer(() => rm(folder, { recursive: true, force: true }));
        const proxy = new Proxy({ path: join(postgres.folder, ".s.PGSQL.5432") }, /LISTEN bough_/);
        await proxy.listen({ path: join(folder, ".s.PGSQL.5432") });
        return {
          proxy,
          url: `postgresql://postgres@localhost:5432/postgres?host=${encodeURIComponent(folder)}`,
        };
      },
      subject: (ways) => ({
        engine: async (process) =>
          pgBossEngine({
            connectionString: (await ways(process)).url,
            lockSeconds: 10,
            poll: 300,
            connections: 2,
          }),
        lease: 2_500,
        workerLease: 4_000,
        lostWithin: 13_000,
        stop: () => postgres.crash(),
        refuseWrites: async () => {
          await query("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()");
          return () =>
            query(
              "SET default_transaction_read_only = off",
              "ALTER SYSTEM RESET default_transaction_read_only",
              "SELECT pg_reload_conf()",
            );
        },
        wipe: () => query("DELETE FROM pgboss.job", "DELETE FROM bough.note"),
      }),
    };
  });
});
