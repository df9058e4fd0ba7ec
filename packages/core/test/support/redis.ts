import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import type { Scope } from "../../src/index.js";

/** A Redis for a test, with data of its own. */
export interface TestRedis {
  readonly port: number;
  readonly url: string;
  /** Kills it. Returns what starts it again, with what it had written. */
  readonly crash: () => Promise<() => Promise<void>>;
}

/** Why there is no Redis for tests on this machine. */
export function whyNoRedis(): string | undefined {
  try {
    execFileSync("redis-server", ["--version"], { stdio: "ignore" });
    return undefined;
  } catch {
    return "redis-server is not installed";
  }
}

export async function startRedis(scope: Scope): Promise<TestRedis> {
  const folder = await mkdtemp(join(tmpdir(), "bough-redis-"));
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  const port = await freePort();
  let server: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    const options = [
      "--port",
      String(port),
      "--bind",
      "127.0.0.1",
      "--dir",
      folder,
      "--save",
      "",
      "--appendonly",
      "yes",
    ];
    options.push("--maxmemory-policy", "noeviction", "--loglevel", "warning");
    server = spawn("redis-server", options, { stdio: "ignore" });
    const client = new Redis(port, "127.0.0.1", { retryStrategy: () => 20, maxRetriesPerRequest: null });
    client.on("error", () => {});
    while ((await client.ping().catch(() => "loading")) !== "PONG")
      await new Promise((resolve) => setTimeout(resolve, 20));
    client.disconnect();
  };
  const crash = async (): Promise<() => Promise<void>> => {
    const ended = server === undefined ? undefined : once(server, "exit");
    server?.kill("SIGKILL");
    await ended;
    return start;
  };
  scope.defer(() => crash().then(() => {}));
  await start();
  return { port, url: `redis://127.0.0.1:${port}`, crash };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}
