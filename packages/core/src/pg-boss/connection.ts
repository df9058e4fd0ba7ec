import type { Pool } from "pg";
import type { PgBoss } from "pg-boss";
import { outOfRange } from "../errors/validate.js";
import { Batcher } from "../remote/batcher.js";
import { groupByQueue } from "../remote/group-by-queue.js";
import type {
  Beat,
  BeatAnswer,
  CancelRequest,
  ConsumeOptions,
  Consumer,
  Delivery,
  EngineConnection,
  Envelope,
  Held,
  Hint,
  JobState,
  Settlement,
  Topic,
} from "../remote/engine.js";
import { readHints } from "../remote/wire.js";
import { PgBossConsumer } from "./consumer.js";
import type { Listener } from "./listener.js";
import { channelOf, jobId, queueName, storable } from "./names.js";
import { addNotes, holderRowsOf, renewLease, statesOf, deleteExpired, type Schemas } from "./side-tables.js";

/** How often pg-boss may retry a job. `bough/remote` decides when to stop. */
const RETRY_LIMIT = 10_000;
/** pg-boss fails a job that runs longer, even if it sends heartbeats. This is the maximum of pg-boss. */
const EXPIRE_SECONDS = 23 * 3_600;
/** How long pg-boss keeps a job that no worker fetches. */
const RETENTION_SECONDS = 14 * 86_400;
/** NOTIFY takes less than 8,000 bytes. */
const MAX_NOTIFY = 7_900;
const CLEANUP_INTERVAL = 60_000;

interface Settings {
  readonly pool: Pool;
  readonly boss: PgBoss;
  readonly listener: Listener;
  readonly schemas: Schemas;
  /** The length of a lock, in seconds. */
  readonly lockSeconds: number;
  /** How often a consumer polls for jobs without a hint, in ms. */
  readonly poll: number;
  readonly onError: (error: unknown) => void;
}

/** The connection of a process to pg-boss. Jobs are written by the API of pg-boss only. */
export class PgBossConnection implements EngineConnection {
  readonly #settings: Settings;
  readonly #queues = new Map<string, Promise<void>>();
  readonly #notices: Batcher<readonly [string, string], undefined>;
  readonly #consumers = new Map<string, PgBossConsumer>();
  #cleanedUpAt = 0;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#notices = new Batcher(async (notices) => {
      await settings.pool.query("SELECT pg_notify(c, p) FROM unnest($1::text[], $2::text[]) AS n (c, p)", [
        notices.map(([channel]) => channel),
        notices.map(([, payload]) => payload),
      ]);
      return notices.map(() => undefined);
    });
  }

  async submit(jobs: readonly Envelope[]): Promise<readonly { readonly owner?: string | undefined }[]> {
    const { boss, lockSeconds } = this.#settings;
    await Promise.all(
      [...groupByQueue(jobs)].map(async ([queue, envelopes]) => {
        await this.#ensureQueue(queue);
        await boss.insert(
          queueName(queue),
          envelopes.map((envelope) => ({
            id: jobId(envelope),
            data: storable(envelope),
            retryLimit: RETRY_LIMIT,
            retryDelay: Math.round((envelope.backoff?.delay ?? 0) / 1_000),
            retryBackoff: envelope.backoff?.type === "exponential" && envelope.backoff.delay >= 1_000,
            expireInSeconds: EXPIRE_SECONDS,
            retentionSeconds: RETENTION_SECONDS,
            deleteAfterSeconds: Math.max(1, Math.ceil(envelope.keep / 1_000)),
            heartbeatSeconds: lockSeconds,
            ...(envelope.priority === undefined ? {} : { priority: envelope.priority }),
            ...(envelope.delay === undefined ? {} : { startAfter: Math.ceil(envelope.delay / 1_000) }),
          })),
        );
        this.#notify({ queue }, "");
      }),
    );
    return this.#ownersOf(jobs);
  }

  async cancel(jobs: readonly CancelRequest[]): Promise<readonly JobState[]> {
    const { pool, schemas, boss, onError } = this.#settings;
    await addNotes(pool, schemas, jobs);
    for (const { queue, id, reason } of jobs) this.#hint({ queue }, { queue, id, reason });
    const states = await statesOf(pool, schemas, jobs);
    const idle = jobs.filter((_, index) => {
      const state = states[index] as JobState;
      return "at" in state && state.at === "idle";
    });
    // Only tidies: a process that has fetched one of them since then reads the note.
    for (const [queue, refs] of groupByQueue(idle))
      boss.cancel(queueName(queue), refs.map(jobId)).catch(onError);
    return states;
  }

  async heartbeat({ owner, ask = [], hold }: Beat): Promise<BeatAnswer> {
    const { pool, schemas } = this.#settings;
    const [owned, states, held, now] = await Promise.all([
      owner === undefined ? undefined : renewLease(pool, schemas, owner),
      statesOf(pool, schemas, ask),
      hold === undefined ? [] : this.#hold(hold),
      this.#now(),
    ]);
    this.#deleteExpired(now);
    return { now, owned, states, held };
  }

  async hint(topic: Topic, hints: readonly Hint[]): Promise<void> {
    for (const hint of hints) this.#hint(topic, hint);
    return Promise.resolve();
  }

  async watch(topic: Topic, listener: (hint?: Hint) => void): Promise<void> {
    const wake = "queue" in topic ? () => this.#consumers.get(topic.queue)?.wake() : () => {};
    await this.#settings.listener.listen(channelOf(topic), (payload) => {
      if (payload === undefined) {
        wake();
        listener();
      } else if (payload === "") {
        wake();
      } else {
        this.#read(payload, listener);
      }
    });
  }

  async consume(
    queue: string,
    options: ConsumeOptions,
    run: (delivery: Delivery) => Promise<Settlement>,
  ): Promise<Consumer> {
    const { lockSeconds } = this.#settings;
    if (options.lease > lockSeconds * 1_000)
      throw outOfRange(
        "serve",
        `lease must be at most the lock of pgBossEngine (${lockSeconds} s)`,
        options.lease,
      );
    await this.#ensureQueue(queue);
    const consumer = new PgBossConsumer(queue, options, run, {
      ...this.#settings,
      ended: (envelope, outcome) => {
        if (envelope.replyTo !== undefined)
          this.#hint({ owner: envelope.replyTo }, { queue, id: envelope.id, outcome });
      },
      released: () => this.#notify({ queue }, ""),
    });
    this.#consumers.set(queue, consumer);
    return consumer;
  }

  close(): void {
    for (const consumer of this.#consumers.values()) void consumer.stop();
  }

  async #hold({ renew, deliveries }: NonNullable<Beat["hold"]>): Promise<Held[]> {
    const { pool, schemas, boss } = this.#settings;
    if (deliveries.length === 0) return [];
    const jobs = deliveries.map(({ envelope, attempt }) => ({ ...envelope, retryCount: attempt - 1 }));
    if (renew)
      await Promise.all(
        [...groupByQueue(jobs)].map(([queue, held]) =>
          boss.touch(
            queueName(queue),
            held.map((job) => ({ id: jobId(job), retryCount: job.retryCount })),
          ),
        ),
      );
    const rows = await holderRowsOf(
      pool,
      schemas,
      jobs.map(({ queue, id, retryCount, owner }) => ({ queue, id, retryCount, owner })),
    );
    return rows.map(({ active, reason, left }, index) => ({
      lost: !active,
      cancelled: reason ?? undefined,
      ...(jobs[index]?.owner === undefined ? {} : { ownerLeft: left === null ? 0 : Number(left) }),
    }));
  }

  /** Returns the owners of stored jobs: a job with a chosen id may have existed before. */
  async #ownersOf(jobs: readonly Envelope[]): Promise<{ readonly owner?: string | undefined }[]> {
    const { pool, schemas } = this.#settings;
    const chosen = jobs.filter((job) => job.chosen === true);
    if (chosen.length === 0) return jobs.map(({ owner }) => ({ owner }));
    const { rows } = await pool.query<{ name: string; id: string; owner: string | null }>(
      `SELECT j.name, j.id, j.data->>'owner' AS owner FROM ${schemas.boss}.job j
       JOIN unnest($1::text[], $2::uuid[]) AS r (name, id) ON j.name = r.name AND j.id = r.id`,
      [chosen.map(({ queue }) => queueName(queue)), chosen.map(jobId)],
    );
    const owners = new Map(rows.map(({ name, id, owner }) => [`${name}/${id}`, owner ?? undefined]));
    return jobs.map((job) => {
      const key = `${queueName(job.queue)}/${jobId(job)}`;
      return { owner: owners.has(key) ? owners.get(key) : job.owner };
    });
  }

  #ensureQueue(queue: string): Promise<void> {
    let created = this.#queues.get(queue);
    if (created === undefined) {
      created = this.#settings.boss.createQueue(queueName(queue), {
        retryLimit: RETRY_LIMIT,
        expireInSeconds: EXPIRE_SECONDS,
        retentionSeconds: RETENTION_SECONDS,
        heartbeatSeconds: this.#settings.lockSeconds,
      });
      this.#queues.set(queue, created);
      created.catch(() => this.#queues.delete(queue));
    }
    return created;
  }

  async #now(): Promise<number> {
    const { rows } = await this.#settings.pool.query<{ now: string }>(
      "SELECT extract(epoch FROM clock_timestamp()) * 1000 AS now",
    );
    return Number(rows[0]?.now);
  }

  #hint(topic: Topic, hint: Hint): void {
    const text = JSON.stringify(hint);
    const { queue, id } = hint;
    const short = (): string => JSON.stringify({ queue, id } satisfies Hint);
    this.#notify(topic, Buffer.byteLength(text) > MAX_NOTIFY ? short() : text);
  }

  #read(payload: string, listener: (hint: Hint) => void): void {
    try {
      for (const hint of readHints(payload)) listener(hint);
    } catch (error) {
      this.#settings.onError(error); // not of bough
    }
  }

  #notify(topic: Topic, payload: string): void {
    this.#notices.add([channelOf(topic), payload]).catch(this.#settings.onError);
  }

  #deleteExpired(now: number): void {
    if (now - this.#cleanedUpAt < CLEANUP_INTERVAL) return;
    this.#cleanedUpAt = now;
    deleteExpired(this.#settings.pool, this.#settings.schemas).catch(this.#settings.onError);
  }
}
