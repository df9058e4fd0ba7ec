import { Redis } from "ioredis";
import pg from "pg";
import { bullmqEngine } from "../../../src/bullmq/index.js";
import type { Scope } from "../../../src/index.js";
import { pgBossEngine } from "../../../src/pg-boss/index.js";
import type { Engine } from "../../../src/remote/index.js";
import { startPostgres } from "../../support/postgres.js";
import { startRedis } from "../../support/redis.js";

/** An engine that is running, as JSON for the processes. */
export interface EngineChoice {
  readonly name: "bullmq" | "pg-boss";
  readonly url: string;
  readonly workerLease: number;
}

export async function startEngine(scope: Scope, name: EngineChoice["name"]): Promise<EngineChoice> {
  if (name === "bullmq") return { name, url: (await startRedis(scope)).url, workerLease: 3_000 };
  return { name, url: (await startPostgres(scope)).url, workerLease: 10_000 };
}

export function engineOf({ name, url }: EngineChoice): Engine {
  return name === "bullmq"
    ? bullmqEngine({ connection: url })
    : pgBossEngine({ connectionString: url, lockSeconds: 10, poll: 500 });
}

/** How many jobs the engine has that have not ended. */
export async function countUnfinished({ name, url }: EngineChoice): Promise<number> {
  if (name === "bullmq") {
    const client = new Redis(url);
    const key = "{bough}:chaos@1";
    const counts = await Promise.all([
      client.llen(`${key}:wait`),
      client.llen(`${key}:active`),
      client.zcard(`${key}:delayed`),
      client.zcard(`${key}:prioritized`),
    ]);
    client.disconnect();
    return counts.reduce((sum, count) => sum + count, 0);
  }
  const client = new pg.Client(url);
  await client.connect();
  const { rows } = await client.query<{ count: string }>(
    "SELECT count(*) FROM pgboss.job WHERE name = 'chaos.v1' AND state < 'completed'",
  );
  await client.end();
  return Number(rows[0]?.count);
}
