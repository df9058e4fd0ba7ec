import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isInstalled } from "./programs.js";

export const hasRedis: boolean = isInstalled("redis-server");
export const redisLabel: string = hasRedis ? "Redis" : "Redis (needs redis-server on the PATH)";

/** A Redis of its own, on a socket in a temporary folder, for `await using`. */
export async function startRedis(): Promise<AsyncDisposable & { readonly path: string }> {
  const folder = mkdtempSync(join(tmpdir(), "bough-redis-"));
  const path = join(folder, "socket");
  const args = ["--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no", "--dir", folder];
  const server = spawn("redis-server", args, { stdio: ["ignore", "pipe", "inherit"] });
  for await (const chunk of server.stdout) if (String(chunk).includes("accept connections")) break;
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      const ended = once(server, "exit");
      server.kill();
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
