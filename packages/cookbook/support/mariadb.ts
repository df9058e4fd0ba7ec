import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isInstalled } from "./programs.js";

export const hasMariadb: boolean = isInstalled("mariadbd") && isInstalled("mariadb-install-db");

/** A MariaDB of its own, on a socket in a temporary folder, for `await using`. */
export async function startMariadb(): Promise<AsyncDisposable & { readonly socketPath: string }> {
  const folder = mkdtempSync(join(tmpdir(), "bough-mariadb-"));
  const data = join(folder, "data");
  const isRoot = process.getuid?.() === 0;
  chmodSync(folder, 0o755);
  const asUser = isRoot ? ["--user=root"] : [];
  const install = [
    "--no-defaults",
    `--datadir=${data}`,
    "--auth-root-authentication-method=normal",
    "--skip-test-db",
  ];
  execFileSync("mariadb-install-db", [...install, ...asUser], { stdio: "ignore" });
  const socketPath = join(folder, "socket");
  const args = [
    "--no-defaults",
    `--datadir=${data}`,
    `--socket=${socketPath}`,
    "--skip-networking",
    ...asUser,
  ];
  const server = spawn("mariadbd", [...args, `--pid-file=${join(folder, "pid")}`], { stdio: "ignore" });
  const ended = once(server, "exit");
  while (!existsSync(socketPath) && server.exitCode === null)
    await new Promise((resolve) => setTimeout(resolve, 20));
  return {
    socketPath,
    [Symbol.asyncDispose]: async () => {
      server.kill();
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
