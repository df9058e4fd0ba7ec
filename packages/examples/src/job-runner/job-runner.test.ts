import { createScope, sleep, withScope, type Scope } from "bough";
import { withVirtualClock } from "bough/testing";
import { describe, expect, it } from "vitest";
import { runExample } from "../../test/support/run-example.js";
import { JobRunner, type Job } from "./job-runner.js";

const error = new Error("crash");
const backoff = { minDelay: 1_000, maxDelay: 4_000 };

/** Runs jobs 1 to `count` under a virtual clock, and says when each was begun. */
async function begun(
  count: number,
  handle: (id: number, attempt: number) => void,
): Promise<{ log: string[]; done: number; givenUp: number[] }> {
  const log: string[] = [];
  const attempts = new Map<number, number>();
  const givenUp: number[] = [];
  const done = await withVirtualClock(
    async (scope, clock) => {
      const runner = new JobRunner(scope, {
        ...backoff,
        handle: async (own: Scope, { id }: Job) => {
          log.push(`${id} at ${clock.now}`);
          await sleep(own, 100);
          attempts.set(id, (attempts.get(id) ?? 0) + 1);
          handle(id, attempts.get(id) ?? 0);
        },
        onGivenUp: ({ id }) => givenUp.push(id),
      });
      for (let id = 1; id <= count; id++) await runner.submit(scope, { id });
      runner.end();
      return () => runner.done;
    },
    { start: 0 },
  );
  return { log, done: done(), givenUp };
}

describe("JobRunner", () => {
  it("runs every job once, in order", async () => {
    const { log, done } = await begun(3, () => undefined);
    expect(log).toEqual(["1 at 0", "2 at 100", "3 at 200"]);
    expect(done).toBe(3);
  });

  it("begins again after a crash, with the same job, after a pause", async () => {
    const { log, done, givenUp } = await begun(3, (id, attempt) => {
      if (id === 2 && attempt === 1) throw error;
    });
    const ids = log.map((line) => line.split(" ")[0]);
    expect(ids).toEqual(["1", "2", "2", "3"]);
    const [, , again = ""] = log;
    // The pause is a random one between half of a second and a second.
    const at = Number(again.split(" at ")[1]);
    expect(at).toBeGreaterThanOrEqual(700);
    expect(at).toBeLessThanOrEqual(1_200);
    expect([done, givenUp]).toEqual([3, []]);
  });

  it("gives up a job that always crashes it, and goes on", async () => {
    const { log, done, givenUp } = await begun(3, (id) => {
      if (id === 2) throw error;
    });
    expect(log.map((line) => line.split(" ")[0])).toEqual(["1", "2", "2", "2", "3"]);
    expect([done, givenUp]).toEqual([2, [2]]);
  });

  it("fails its scope with the last error when it crashes too often", async () => {
    const outcome = await withVirtualClock((scope) =>
      withScope(scope, async (own) => {
        const handle = async (): Promise<never> => {
          throw error;
        };
        const runner = new JobRunner(own, { ...backoff, maxRestarts: 2, attempts: Infinity, handle });
        await runner.submit(own, { id: 1 });
        await sleep(own, Infinity);
      }).catch((caught: unknown) => caught),
    );
    expect(outcome).toBe(error);
  });

  it("stops at once when its scope is cancelled, in the middle of a job or of a pause", async () => {
    await withVirtualClock(async (scope) => {
      for (const wait of [50, 150]) {
        const own = createScope(scope);
        const handle = async (inner: Scope): Promise<never> => {
          await sleep(inner, 100);
          throw error;
        };
        const runner = new JobRunner(own, { ...backoff, handle });
        await runner.submit(own, { id: 1 });
        await sleep(scope, wait);
        const before = Date.now();
        await own.close();
        expect([Date.now() - before, runner.done]).toEqual([0, 0]);
      }
    });
  });
});

describe("main.ts", () => {
  it("runs the jobs that can run, and fails when none can", { timeout: 30_000 }, async () => {
    const { code, output } = await runExample("job-runner");
    expect(output).toContain("restart 1: out of luck");
    expect(output).toContain("job 10 is given up: job 10 makes no sense");
    expect(output).toContain("19 of 20 jobs are done");
    expect(output).toContain("the runner has failed: the storage is down");
    expect(code).toBe(0);
  });
});
