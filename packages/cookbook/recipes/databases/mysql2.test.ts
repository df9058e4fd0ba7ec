import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createScope } from "bough";
import mysql from "mysql2";
import { createPool, type Pool, type PoolOptions, type RowDataPacket } from "mysql2/promise";
import { describe, expect, it, vi } from "vitest";
import { hasMariadb, startMariadb } from "../../support/mariadb.js";
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
      await vi.waitFor(async () => expect(await running()).toBe(1), { timeout: 10_000 });
      scope.cancel();
      await expect(rows).rejects.toBe(scope.reason);
      expect(await running()).toBe(0);
      await scope.close();
    });
  });
});

// npm brings no MySQL. mysql2 brings its side of the protocol, which shows that the right connection is asked for.
it("a query to a server of MySQL's protocol is killed by the number of its connection", async () => {
  const log = vi.spyOn(console, "error").mockReturnValue(); // its server does not begin to count packets anew, and warns
  let connections = 0;
  const asked: string[] = [];
  const sleeping = new Map<number, mysql.Connection>();
  const server = mysql.createServer();
  server.on(
    "connection",
    (connection: mysql.Connection & Record<string, (...given: unknown[]) => unknown>) => {
      const id = ++connections;
      const greeting = {
        protocolVersion: 10,
        serverVersion: "8.0",
        statusFlags: 2,
        characterSet: 33,
        capabilityFlags: 0xffffff,
      };
      connection["serverHandshake"]?.({ ...greeting, connectionId: id });
      connection.on("error", () => {});
      connection.on("query", (text: string) => {
        asked.push(text);
        const victim = /^kill query (\d+)/.exec(text)?.[1];
        if (victim === undefined) return void sleeping.set(id, connection);
        const interrupted = { code: 1317, message: "Query execution was interrupted" };
        (sleeping.get(Number(victim)) as unknown as typeof connection)["writeError"]?.(interrupted);
        connection["writeOk"]?.();
      });
    },
  );
  server.listen(0, "127.0.0.1");
  const net = (server as unknown as { _server: import("node:net").Server })._server;
  await once(net, "listening");
  try {
    const { port } = net.address() as AddressInfo;
    await withPools({ host: "127.0.0.1", port, user: "root" }, async (pool, control) => {
      const scope = createScope();
      const rows = query(scope, pool, control, "select sleep(60)");
      rows.catch(() => {});
      await vi.waitFor(() => expect(sleeping.size).toBe(1));
      scope.cancel();
      await expect(rows).rejects.toBe(scope.reason);
      expect(asked).toEqual(["select sleep(60)", "kill query 1"]);
      await scope.close();
    });
  } finally {
    net.close();
    log.mockRestore();
  }
});
