import type { Pool } from "pg";
import type { JobWithMetadata, PgBoss } from "pg-boss";
import type { ConsumeOptions, Consumer, Delivery, Envelope, Outcome, Settlement } from "../remote/engine.js";
import { toEnvelope } from "../remote/read-envelope.js";
import { pause, withTimeLimit, monotonicNow, Pause } from "../remote/time.js";
import { jobId, queueName, storable } from "./names.js";
import { countReturn, retryCountsOf, type Schemas } from "./side-tables.js";

interface Settings {
  readonly pool: Pool;
  readonly boss: PgBoss;
  readonly schemas: Schemas;
  readonly poll: number;
  readonly lockSeconds: number;
  /** A job has ended for good. */
  readonly ended: (envelope: Envelope, outcome: Outcome) => void;
  /** A job went back to the queue. */
  readonly released: () => void;
}

/** Fetches the jobs of a queue while there is room: on a hint, and periodically. */
export class PgBossConsumer implements Consumer {
  readonly #queue: string;
  readonly #options: ConsumeOptions;
  readonly #run: (delivery: Delivery) => Promise<Settlement>;
  readonly #settings: Settings;
  readonly #runs = new Set<Promise<void>>();
  readonly #pause = new Pause();
  readonly #loop: Promise<void>;
  #concurrency: number;
  #isStopped = false;
  /** Whether there may be more jobs than the last fetch has returned. */
  #isWoken = true;

  constructor(
    queue: string,
    options: ConsumeOptions,
    run: (delivery: Delivery) => Promise<Settlement>,
    settings: Settings,
  ) {
    this.#queue = queue;
    this.#options = options;
    this.#run = run;
    this.#settings = settings;
    this.#concurrency = options.concurrency;
    this.#loop = this.#fetchJobs();
  }

  wake(): void {
    this.#isWoken = true;
    this.#pause.end();
  }

  setConcurrency(count: number): void {
    if (count > this.#concurrency) this.wake();
    this.#concurrency = count;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#pause.end();
    await this.#loop;
    while (this.#runs.size > 0) await Promise.all(this.#runs);
  }

  async #fetchJobs(): Promise<void> {
    while (!this.#isStopped) {
      const room = this.#concurrency - this.#runs.size;
      if (room <= 0 || !this.#isWoken) {
        // The poll is spread, so that many workers don't ask at the same time.
        await this.#pause.wait(this.#settings.poll * (0.75 + Math.random() / 2));
        this.#isWoken = true;
        continue;
      }
      this.#isWoken = false;
      try {
        if ((await this.#fetch(room)) === room) this.#isWoken = true;
      } catch (error) {
        this.#options.onError(error);
        this.#isWoken = false;
      }
    }
  }

  async #fetch(room: number): Promise<number> {
    const { boss, pool, schemas } = this.#settings;
    const name = queueName(this.#queue);
    const since = monotonicNow();
    const jobs = await boss.fetch<Envelope>(name, { batchSize: room, includeMetadata: true });
    const retried = jobs.filter(({ retryCount }) => retryCount > 0).map(({ id }) => id);
    const counts = retried.length === 0 ? undefined : await retryCountsOf(pool, schemas, name, retried);
    for (const job of jobs) {
      const { failures = 0, releases = 0 } = counts?.get(job.id) ?? {};
      const delivery: Delivery = {
        envelope: toEnvelope(
          job.data,
          this.#queue,
          job.id,
          (ref) => ref.queue === this.#queue && jobId(ref) === job.id,
        ),
        attempt: job.retryCount + 1,
        failedBefore: failures,
        lostBefore: job.retryCount - failures - releases,
        since,
      };
      const run = this.#settle(job, delivery).finally(() => {
        this.#runs.delete(run);
        this.wake();
      });
      this.#runs.add(run);
    }
    return jobs.length;
  }

  /** Runs a job and stores its outcome. pg-boss refuses that if the job has been started again since. */
  async #settle(job: JobWithMetadata<Envelope>, delivery: Delivery): Promise<void> {
    const settlement = await this.#run(delivery);
    // An outage that is shorter than the lock must not cost the result.
    const until = monotonicNow() + this.#settings.lockSeconds * 1_000;
    while (monotonicNow() < until) {
      try {
        return await withTimeLimit(this.#store(job, delivery.envelope, settlement), 5_000);
      } catch (error) {
        this.#options.onError(error);
        await pause(100);
      }
    }
  }

  async #store(
    { id, retryCount }: JobWithMetadata<Envelope>,
    envelope: Envelope,
    settlement: Settlement,
  ): Promise<void> {
    const { boss, pool, schemas, ended, released } = this.#settings;
    const name = queueName(this.#queue);
    const held = { id, retryCount };
    if ("outcome" in settlement) {
      const { outcome } = settlement;
      // Also for a failure: pg-boss has no final failure before the retries are used up.
      const { affected } = (await boss.complete(name, held, { bough: storable(outcome) })) as {
        affected?: number;
      };
      if (affected !== 0) ended(envelope, outcome);
      return;
    }
    if ("release" in settlement && settlement.delay !== undefined) await pause(settlement.delay);
    await countReturn(
      pool,
      schemas,
      { queue: envelope.queue, id: jobId(envelope) },
      "release" in settlement ? "releases" : "failures",
    );
    await boss.fail(name, held, { bough: "retry" in settlement ? storable(settlement.retry) : null });
    released();
  }
}
