import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { describe, expect, it } from "vitest";
import { createScope, sleep } from "../../src/index.js";
import { withResolvers } from "../../src/kernel/observer.js";
import { pgBossEngine } from "../../src/pg-boss/index.js";
import { testEngine } from "../support/engine-tests.js";
import { connectRemote, defineJob, implement, serve } from "../../src/remote/index.js";
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

  it.concurrent(
    "owners and workers go on while a newer pg-boss migrates its schema, and so does a process that starts later",
    async () => {
      const scope = createScope({ supervise: true, onError: () => {} });
      const { url } = await startPostgres(scope);
      const engine = pgBossEngine({ connectionString: url, poll: 100 });
      const wait = defineJob<number, string>("wait");
      const started = withResolvers<void>();
      const work = implement(wait, async (own, ms) => {
        started.resolve(undefined);
        await sleep(own, ms);
        return "done";
      });
      await serve(scope, engine, [work], { concurrency: 3, lease: 10_000 });
      const remote = await connectRemote(scope, engine, { lease: 10_000 });
      const running = remote.spawn(scope, wait, 2_000);
      await started.promise;
      const client = new pg.Client(url);
      await client.connect();
      // As its migrations do: in one transaction, with a lock on the table.
      await client.query("BEGIN");
      await client.query("LOCK TABLE pgboss.job IN ACCESS EXCLUSIVE MODE");
      const during = remote.spawn(scope, wait, 1);
      await sleep(scope, 500);
      await client.query("ALTER TABLE pgboss.job ADD COLUMN invented text NOT NULL DEFAULT 'x'");
      await client.query("UPDATE pgboss.version SET version = version + 1000");
      await client.query("COMMIT");
      await client.end();
      expect(await Promise.all([running, during, remote.spawn(scope, wait, 1)])).toEqual([
        "done",
        "done",
        "done",
      ]);
      const late = await connectRemote(scope, engine);
      expect(await late.spawn(scope, wait, 1)).toBe("done");
      await scope.close();
    },
    120_000,
  );
});
