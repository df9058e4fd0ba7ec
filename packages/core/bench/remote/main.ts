// bough/remote beside its bare engine, in one run, as ratios: the machine's speed is in both.
//
//     npm run bench:remote -- [--engine bullmq|pg-boss] [--jobs 10000]
//
// | row           | bare                                                          | bough                          |
// | ------------- | ------------------------------------------------------------- | ------------------------------ |
// | round trip    | BullMQ: `add` + `waitUntilFinished`; pg-boss: `send` + a poll | `remote.spawn`                 |
// | throughput    | the same, 200 in flight; ten rounds of each in turn           | `remote.spawn`, 200 in flight  |
// | bulk          | `addBulk`, `insert`                                           | `remote.detach`, all at once   |
// | cancel        | BullMQ has none across processes; pg-boss: next heartbeat     | `task.cancel()` to the signal  |

import { parseArgs } from "node:util";
import { Queue, QueueEvents, Worker } from "bullmq";
import { PgBoss } from "pg-boss";
import { bullmqEngine } from "../../src/bullmq/index.js";
import { sleep, withScope, type Scope } from "../../src/index.js";
import { pgBossEngine } from "../../src/pg-boss/index.js";
import { connectRemote, defineJob, implement, serve, type Engine } from "../../src/remote/index.js";
import { startPostgres, whyNoPostgres } from "../../test/support/postgres.js";
import { startRedis, whyNoRedis } from "../../test/support/redis.js";

const { values } = parseArgs({
  options: { engine: { type: "string" }, jobs: { type: "string", default: "10000" } },
});
const jobs = Number(values.jobs);
const IN_FLIGHT = 200;
const CANCELS = 60;
const ROUNDS = 10;
const ROUND_TRIPS = 100;

interface Contender {
  readonly one: (n: number) => Promise<unknown>;
  readonly bulk: (count: number) => Promise<unknown>;
}

const echo = defineJob<number, number>("echo");
const wait = defineJob<number>("wait");

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
const percentile = (values: readonly number[], p: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * p))] ?? NaN;

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

async function roundTrips({ one }: Contender): Promise<number> {
  const times: number[] = [];
  for (let n = 0; n < ROUND_TRIPS; n++) times.push(await timed(() => one(n)));
  return median(times);
}

/** Jobs per second with their results, so many in flight. */
async function throughput({ one }: Contender, count: number): Promise<number> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await one(next++);
  };
  const ms = await timed(() => Promise.all(Array.from({ length: IN_FLIGHT }, lane)));
  return (count / ms) * 1_000;
}

/** Both in turn, in short rounds: what else the machine does then is in both of a pair. */
async function rates(bare: Contender, own: Contender): Promise<{ bare: number; own: number; ratio: number }> {
  const pairs: { bare: number; own: number }[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const first = round % 2 === 0 ? bare : own;
    const rate = await throughput(first, jobs / ROUNDS);
    const other = await throughput(first === bare ? own : bare, jobs / ROUNDS);
    pairs.push(first === bare ? { bare: rate, own: other } : { bare: other, own: rate });
  }
  return {
    bare: median(pairs.map((pair) => pair.bare)),
    own: median(pairs.map((pair) => pair.own)),
    ratio: median(pairs.map((pair) => pair.own / pair.bare)),
  };
}

async function bough(
  scope: Scope,
  engine: Engine,
): Promise<Contender & { cancels: () => Promise<number[]> }> {
  let signalled = (_at: number): void => {};
  let started = (): void => {};
  await serve(
    scope,
    engine,
    [
      implement(echo, (_, n) => n),
      implement(wait, async (job, ms) => {
        job.onCancel(() => signalled(performance.now()));
        started();
        await sleep(job, ms);
      }),
    ],
    { concurrency: IN_FLIGHT },
  );
  const remote = await connectRemote(scope, engine);
  return {
    one: (n) => remote.spawn(scope, echo, n),
    bulk: (count) =>
      Promise.all(Array.from({ length: count }, (_, n) => remote.detach(echo, n, { keep: 60_000 }))),
    cancels: async () => {
      const times: number[] = [];
      for (let n = 0; n < CANCELS; n++) {
        const running = new Promise<void>((resolve) => (started = resolve));
        const signal = new Promise<number>((resolve) => (signalled = resolve));
        const task = remote.spawn(scope, wait, 60_000);
        await running;
        await sleep(scope, 20);
        const began = performance.now();
        task.cancel();
        times.push((await signal) - began);
        await task.catch(() => {});
      }
      return times;
    },
  };
}

function bareBullmq(scope: Scope, port: number): Contender {
  const connection = { host: "127.0.0.1", port, maxRetriesPerRequest: null };
  const queue = new Queue("bare", { connection });
  queue.setMaxListeners(2 * IN_FLIGHT); // each `waitUntilFinished` adds one until its job has ended
  const events = new QueueEvents("bare", { connection });
  const worker = new Worker("bare", async ({ data }) => Promise.resolve((data as { n: number }).n), {
    connection,
    concurrency: IN_FLIGHT,
  });
  for (const each of [worker, events, queue]) scope.defer(() => each.close());
  const options = { removeOnComplete: { age: 60 } };
  return {
    one: async (n) => (await queue.add("echo", { n }, options)).waitUntilFinished(events),
    bulk: (count) =>
      queue.addBulk(Array.from({ length: count }, (_, n) => ({ name: "echo", data: { n }, opts: options }))),
  };
}

async function barePgBoss(scope: Scope, url: string): Promise<Contender> {
  const boss = new PgBoss({ connectionString: url, schema: "bare", max: 8 });
  boss.on("error", () => {});
  await boss.start();
  await boss.createQueue("bare");
  let isOver = false;
  scope.defer(() => boss.stop({ graceful: false }));
  const loop = async (): Promise<void> => {
    while (!isOver) {
      const found = await boss.fetch<{ n: number }>("bare", { batchSize: IN_FLIGHT });
      await Promise.all(found.map(({ id, data }) => boss.complete("bare", id, data)));
      if (found.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };
  const running = loop();
  scope.defer(() => running);
  scope.defer(() => void (isOver = true));
  return {
    one: async (n) => {
      const id = (await boss.send("bare", { n })) as string;
      while ((await boss.getJobById("bare", id))?.state !== "completed")
        await new Promise((resolve) => setTimeout(resolve, 1));
    },
    bulk: (count) =>
      boss.insert(
        "bare",
        Array.from({ length: count }, (_, n) => ({ data: { n } })),
      ),
  };
}

async function compare(name: string, bare: Contender, own: Awaited<ReturnType<typeof bough>>): Promise<void> {
  for (const each of [bare, own]) await each.bulk(200);
  for (const each of [bare, own]) await throughput(each, jobs / 4); // warm
  const trips = [await roundTrips(bare), await roundTrips(own)] as const;
  const rate = await rates(bare, own);
  const bulk = [await timed(() => bare.bulk(jobs)), await timed(() => own.bulk(jobs))] as const;
  await new Promise((resolve) => setTimeout(resolve, 5_000)); // until the workers are idle again
  const cancels = await own.cancels();
  console.log(`\n${name}`);
  console.log(
    `  round trip, median          bare ${trips[0].toFixed(2)} ms, bough ${trips[1].toFixed(2)} ms: ${(trips[1] / trips[0]).toFixed(2)} of the time`,
  );
  console.log(
    `  throughput with results     bare ${rate.bare.toFixed(0)}/s, bough ${rate.own.toFixed(0)}/s: ${rate.ratio.toFixed(2)} of the bare API, median of ${ROUNDS} pairs`,
  );
  console.log(
    `  bulk, nobody waits          bare ${bulk[0].toFixed(0)} ms, bough ${bulk[1].toFixed(0)} ms: ${(bulk[1] / bulk[0]).toFixed(2)} of the time`,
  );
  console.log(
    `  cancel to the remote signal p50 ${median(cancels).toFixed(1)} ms, p90 ${percentile(cancels, 0.9).toFixed(1)} ms, max ${Math.max(...cancels).toFixed(1)} ms`,
  );
}

await withScope({ name: "bench", supervise: true }, async (scope) => {
  const engines = values.engine === undefined ? ["bullmq", "pg-boss"] : [values.engine];
  if (engines.includes("bullmq")) {
    const missing = whyNoRedis();
    if (missing !== undefined) console.log(`BullMQ: skipped, ${missing}`);
    else
      await withScope(scope, async (own) => {
        const { port, url } = await startRedis(own);
        await withScope(own, { supervise: true }, async (inner) => {
          await compare(
            "BullMQ on Redis",
            bareBullmq(inner, port),
            await bough(inner, bullmqEngine({ connection: url })),
          );
          inner.cancel();
        }).catch(() => {});
      });
  }
  if (engines.includes("pg-boss")) {
    const missing = await whyNoPostgres();
    if (missing !== undefined) console.log(`pg-boss: skipped, ${missing}`);
    else
      await withScope(scope, async (own) => {
        const { url } = await startPostgres(own);
        await withScope(own, { supervise: true }, async (inner) => {
          await compare(
            "pg-boss on Postgres",
            await barePgBoss(inner, url),
            await bough(inner, pgBossEngine({ connectionString: url })),
          );
          inner.cancel();
        }).catch((error: unknown) => console.log(String(error)));
      });
  }
});
process.exit(0);
