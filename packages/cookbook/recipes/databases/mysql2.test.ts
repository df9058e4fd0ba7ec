import { createScope } from "bough";
import { createPool, type Pool, type PoolOptions, type RowDataPacket } from "mysql2/promise";
import { describe, expect, it, vi } from "vitest";
import { eventually } from "../../support/eventually.js";
import { hasMariadb, startMariadb } from "../../support/mariadb.js";
import { startMysql } from "../../support/mysql.js";
import { query } from "./mysql2.js";

async function withPools(
  config: PoolOptions,
  test: (pool: Pool, control: Pool) => Promise<void>,
): Promise<void> {
  const pool = createPool(config);
  const control = createPool({ ...config, connectionLimit: 1 });
  try {
    await test(pool, control);
  } finally {
    await Promise.all([pool.end(), control.end()]);
  }
}

const needs = hasMariadb ? "" : " (needs mariadbd and mariadb-install-db on the PATH)";

describe.skipIf(!hasMariadb)(`a query to MariaDB${needs}`, () => {
  it("gives its rows, and is stopped in the database when its scope is cancelled", async () => {
    await using server = await startMariadb();
    await withPools({ socketPath: server.socketPath, user: "root" }, async (pool, control) => {
      const scope = createScope();
      expect(await query<RowDataPacket[]>(scope, pool, control, "select ? as answer", [42])).toEqual([
        { answer: 42 },
      ]);
      const rows = query(scope, pool, control, "select sleep(60)");
      rows.catch(() => {});
      const running = async (): Promise<number> => {
        const text = "select id from information_schema.processlist where info = 'select sleep(60)'";
        return (await control.query<RowDataPacket[]>(text))[0].length;
      };
      await eventually(async () => expect(await running()).toBe(1));
      scope.cancel();
      await expect(rows).rejects.toBe(scope.reason);
      expect(await running()).toBe(0);
      await scope.close();
    });
  });
});

it("a query to a server of MySQL's protocol is killed by the number of its connection", async () => {
  const log = vi.spyOn(console, "error").mockReturnValue(); // the server does not count packets anew, and warns
  await using server = await startMysql();
  await withPools({ host: "127.0.0.1", port: server.port, user: "root" }, async (pool, control) => {
    const scope = createScope();
    const rows = query(scope, pool, control, "select sleep(60)");
    rows.catch(() => {});
    await eventually(() => expect(server.asked).toEqual(["select sleep(60)"]));
    scope.cancel();
    await expect(rows).rejects.toBe(scope.reason);
    expect(server.asked).toEqual(["select sleep(60)", "kill query 1"]);
    await scope.close();
  });
  log.mockRestore();
});
