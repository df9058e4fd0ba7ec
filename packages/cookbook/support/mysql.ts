import { once } from "node:events";
import type { AddressInfo, Server } from "node:net";
import mysql from "mysql2";

/** One connection of the server that comes with mysql2: what its types leave out. */
interface ServerConnection {
  serverHandshake(greeting: Readonly<Record<string, unknown>>): void;
  on(event: "query", listener: (text: string) => void): void;
  on(event: "error", listener: () => void): void;
  writeError(error: { readonly code: number; readonly message: string }): void;
  writeOk(): void;
}

/**
 * A server of MySQL's protocol whose queries end only when they are killed, for `await using`. npm has no package of MySQL
 * itself. mysql2 implements the server's side of the protocol, which shows the queries of each connection.
 */
export async function startMysql(): Promise<
  AsyncDisposable & { readonly port: number; readonly asked: readonly string[] }
> {
  const asked: string[] = [];
  const waiting = new Map<number, ServerConnection>();
  let connections = 0;
  const handler = (connection: ServerConnection): void => {
    const connectionId = ++connections;
    const greeting = {
      protocolVersion: 10,
      serverVersion: "8.0",
      statusFlags: 2,
      characterSet: 33,
      capabilityFlags: 0xffffff,
    };
    connection.serverHandshake({ ...greeting, connectionId });
    connection.on("error", () => {});
    connection.on("query", (text) => {
      asked.push(text);
      const victim = /^kill query (\d+)/.exec(text)?.[1];
      if (victim === undefined) return void waiting.set(connectionId, connection);
      waiting.get(Number(victim))?.writeError({ code: 1317, message: "Query execution was interrupted" });
      connection.writeOk();
    });
  };
  const server = mysql.createServer((connection) => handler(connection));
  const { _server: net } = server as unknown as { _server: Server };
  net.listen(0, "127.0.0.1");
  await once(net, "listening");
  return {
    port: (net.address() as AddressInfo).port,
    asked,
    [Symbol.asyncDispose]: async () => void net.close(),
  };
}
