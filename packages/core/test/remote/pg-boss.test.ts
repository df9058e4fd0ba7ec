import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createScope, type ScopeHandle } from "../../src/index.js";
import { pgBossEngine } from "../../src/pg-boss/index.js";
import { engineSuite, type EngineSubject } from "../../src/remote/testing/index.js";
import { startPostgres, whyNoPostgres, type TestPostgres } from "../support/postgres.js";
import { Proxy } from "../support/proxy.js";

const missing = await whyNoPostgres();
const title = missing === undefined ? "pg-boss" : `pg-boss (skipped: ${missing})`;

describe.skipIf(missing !== undefined)(`${title}`, () => {
  let scope: ScopeHandle;
  let postgres: TestPostgres;

  beforeAll(async () => {
    scope = createScope({ name: "pg-boss" });
    postgres = await startPostgres(scope);
  });

  afterAll(() => scope.close());

  /** Each process of a case has a way of its own to the server, which can be cut. */
  function subject(folder: string, proxies: Map<string, Proxy>): EngineSubject {
    const proxyOf = async (process: string): Promise<[Proxy, string]> => {
      const path = join(folder, process);
      let proxy = proxies.get(process);
      if (proxy === undefined) {
        proxy = new Proxy({ path: join(postgres.folder, ".s.PGSQL.5432") }, /LISTEN bough_/);
        proxies.set(process, proxy);
        const { mkdir } = await import("node:fs/promises");
        await mkdir(path);
        await proxy.listen({ path: join(path, ".s.PGSQL.5432") });
      }
      return [proxy, `postgresql://postgres@localhost:5432/postgres?host=${encodeURIComponent(path)}`];
    };
    return {
      engine: async (process) => {
        const [, connectionString] = await proxyOf(process);
        return pgBossEngine({ connectionString, lockSeconds: 10, poll: 300 });
      },
      lease: 2_500,
      workerLease: 4_000,
      lostWithin: 13_000,
      cut: async (process) => (await proxyOf(process))[0].cut(),
      dropHints: async (process) => (await proxyOf(process))[0].dropHints(),
      stop: () => postgres.crash(),
      wipe: async () => {
        const client = new pg.Client(postgres.url);
        await client.connect();
        await client.query("DELETE FROM pgboss.job");
        await client.query("DELETE FROM bough.note");
        await client.end();
      },
    };
  }

  const names = engineSuite({ engine: () => pgBossEngine({ connectionString: "postgresql://none" }) }).map(
    ({ name }) => name,
  );
  const isForAll = (name: string): boolean => /outage|has lost/.test(name);

  async function play(name: string): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), "bough-pg-"));
    const proxies = new Map<string, Proxy>();
    try {
      const found = engineSuite(subject(folder, proxies)).find((each) => each.name === name);
      expect(found?.skipped).toBeUndefined();
      await found?.run();
    } finally {
      for (const proxy of proxies.values()) proxy.close();
      await rm(folder, { recursive: true, force: true });
    }
  }

  // Most of their time is waiting for locks to run out.
  describe.concurrent("its cases", () => {
    it.each(names.filter((name) => !isForAll(name)))("%s", play, 180_000);
  });

  describe("its cases that stop the server", () => {
    it.each(names.filter(isForAll))("%s", play, 180_000);
  });
});
