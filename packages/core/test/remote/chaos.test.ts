import { describe, expect, it } from "vitest";
import { whyNoPostgres } from "../support/postgres.js";
import { whyNoRedis } from "../support/redis.js";
import { runChaos } from "./chaos/run.js";

// The long form, with 10,000 jobs and stopped processes: `npm run chaos:remote`.
const missing = { bullmq: whyNoRedis(), "pg-boss": await whyNoPostgres() } as const;

// Most of their time is waiting for leases to run out.
describe.concurrent("300 jobs while their owners and workers are killed (kill -9)", () => {
  for (const engine of ["bullmq", "pg-boss"] as const) {
    const why = missing[engine];
    const title = `no outcome of a living owner is lost or wrong, and nothing runs beside itself: ${engine}`;
    it.skipIf(why !== undefined)(
      `${title}${why === undefined ? "" : ` (skipped: ${why})`}`,
      async () => {
        const lease = 3_000;
        const options = { engine, jobs: 300, owners: 2, workers: 2, every: 2_500, stops: false, lease };
        const verdict = await runChaos(options);
        expect(verdict).toMatchObject({ lost: 0, wrong: [], beside: 0, startedAfterLease: 0, left: 0 });
        expect(verdict.ownersKilled + verdict.workersKilled).toBeGreaterThan(0);
        expect(verdict.signalLongest).toBeLessThanOrEqual(lease);
        expect(verdict.afterLease).toBeLessThan(500); // the cleanup of a job, not its work
      },
      240_000,
    );
  }
});
