import type { Pool } from "pg";
import type { CancelRequest, EngineRef, JobState, Outcome, WireReason } from "../remote/engine.js";
import { jobId, queueName, storable } from "./names.js";

// The tables that the adapter adds to pg-boss: two tables in a schema beside it. `lease` has one row for each owner
// process, `note` one for each job that was cancelled, or was tried again.

/** How often a job returned to the queue for other reasons than a lost worker. */
export interface RetryCounts {
  readonly failures: number;
  readonly releases: number;
}

/** The names of the schemas, quoted. */
export interface Schemas {
  /** That of pg-boss. */
  readonly boss: string;
  /** That of the two tables. */
  readonly side: string;
}

export interface HolderRow {
  readonly active: boolean;
  readonly reason: WireReason | null;
  /** Milliseconds, `null` without a lease. */
  readonly left: string | null;
}

interface StateRow {
  readonly state: string | null;
  readonly expired: boolean;
  readonly output: { readonly bough?: Outcome } | null;
  readonly retry_count: number | null;
  readonly reason: WireReason | null;
}

/** Creates the tables; many processes may do that at once. */
export async function createTables(pool: Pool, side: string): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query("BEGIN");
    await client.query("SELECT pg_advisory_xact_lock(7261947203)");
    await client.query(`CREATE SCHEMA IF NOT EXISTS ${side}`);
    await client.query(
      `CREATE TABLE IF NOT EXISTS ${side}.lease (id text PRIMARY KEY, until timestamptz NOT NULL)`,
    );
    await client.query(
      `CREATE TABLE IF NOT EXISTS ${side}.note (
         name text NOT NULL, id uuid NOT NULL, reason jsonb,
         failures int NOT NULL DEFAULT 0, releases int NOT NULL DEFAULT 0,
         expires timestamptz NOT NULL, PRIMARY KEY (name, id))`,
    );
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK").catch(() => {});
    throw error;
  } finally {
    client.release();
  }
}

/** Removes expired rows. */
export async function deleteExpired(pool: Pool, { side }: Schemas): Promise<void> {
  await pool.query(`DELETE FROM ${side}.lease WHERE until < clock_timestamp() - interval '1 minute'`);
  await pool.query(`DELETE FROM ${side}.note WHERE expires < clock_timestamp()`);
}

/** Sets the end of a lease, an absolute instant. Returns whether it exists, with that end or a later one. */
export async function renewLease(
  pool: Pool,
  { side }: Schemas,
  { id, until, fresh }: { readonly id: string; readonly until: number; readonly fresh?: boolean | undefined },
): Promise<boolean> {
  if (until === 0) {
    await pool.query(`DELETE FROM ${side}.lease WHERE id = $1`, [id]);
    return false;
  }
  const end = `to_timestamp($2::double precision / 1000)`;
  const text =
    fresh === true
      ? `INSERT INTO ${side}.lease AS l (id, until) SELECT $1, ${end} WHERE ${end} > clock_timestamp()
         ON CONFLICT (id) DO UPDATE SET until = GREATEST(l.until, excluded.until)
         WHERE l.until > clock_timestamp()`
      : `UPDATE ${side}.lease SET until = GREATEST(until, ${end}) WHERE id = $1 AND until > clock_timestamp()`;
  const { rowCount } = await pool.query(text, [id, until]);
  return rowCount === 1;
}

/** Adds notes that jobs are cancelled. The first note of a job counts. */
export async function addNotes(pool: Pool, { side }: Schemas, jobs: readonly CancelRequest[]): Promise<void> {
  const unique = [...new Map(jobs.map((job) => [`${job.queue}/${job.id}`, job])).values()];
  await pool.query(
    `INSERT INTO ${side}.note AS n (name, id, reason, expires)
     SELECT name, id, reason, clock_timestamp() + keep * interval '1 ms'
     FROM unnest($1::text[], $2::uuid[], $3::jsonb[], $4::double precision[]) AS j (name, id, reason, keep)
     ON CONFLICT (name, id) DO UPDATE SET reason = COALESCE(n.reason, excluded.reason),
       expires = GREATEST(n.expires, excluded.expires)`,
    [
      unique.map(({ queue }) => queueName(queue)),
      unique.map(jobId),
      unique.map(({ reason }) => JSON.stringify(storable(reason))),
      unique.map(({ keep }) => keep),
    ],
  );
}

/** Counts that a job goes back to its queue. */
export async function countReturn(
  pool: Pool,
  { side }: Schemas,
  ref: EngineRef,
  what: keyof RetryCounts,
): Promise<void> {
  await pool.query(
    `INSERT INTO ${side}.note AS n (name, id, ${what}, expires) VALUES ($1, $2, 1, clock_timestamp() + interval '1 day')
     ON CONFLICT (name, id) DO UPDATE SET ${what} = n.${what} + 1, expires = GREATEST(n.expires, excluded.expires)`,
    [queueName(ref.queue), jobId(ref)],
  );
}

export async function retryCountsOf(
  pool: Pool,
  { side }: Schemas,
  name: string,
  ids: readonly string[],
): Promise<ReadonlyMap<string, RetryCounts>> {
  const { rows } = await pool.query<RetryCounts & { readonly id: string }>(
    `SELECT id, failures, releases FROM ${side}.note WHERE name = $1 AND id = ANY($2::uuid[])`,
    [name, ids],
  );
  return new Map(rows.map((row) => [row.id, row]));
}

/** The states of jobs, in order. One query on the table of pg-boss, whose API can read only one job at a time. */
export async function statesOf(
  pool: Pool,
  schemas: Schemas,
  refs: readonly EngineRef[],
): Promise<JobState[]> {
  if (refs.length === 0) return [];
  const { rows } = await pool.query<StateRow>(
    `SELECT j.state::text AS state, j.output, j.retry_count, n.reason,
       COALESCE(j.heartbeat_on + j.heartbeat_seconds * interval '1 s' < clock_timestamp(), false) AS expired
     FROM unnest($1::text[], $2::uuid[]) WITH ORDINALITY AS r (name, id, place)
     LEFT JOIN ${schemas.boss}.job j ON j.name = r.name AND j.id = r.id
     LEFT JOIN ${schemas.side}.note n ON n.name = r.name AND n.id = r.id
     ORDER BY r.place`,
    [refs.map(({ queue }) => queueName(queue)), refs.map(jobId)],
  );
  return rows.map(toState);
}

function toState({ state, expired, output, retry_count, reason }: StateRow): JobState {
  switch (state) {
    case "created":
    case "retry":
      return { at: "idle" };
    case "active":
      return expired ? { at: "idle" } : { at: "running", attempt: (retry_count ?? 0) + 1 };
    case "completed":
      return { outcome: output?.bough as Outcome }; // the owner checks the value
    case "failed":
      return { outcome: output?.bough ?? { t: "lost", why: "worker" } };
    case "cancelled":
      return { outcome: { t: "cancelled", reason: reason ?? { kind: "explicit" } } };
    default:
      return reason === null ? { at: "missing" } : { outcome: { t: "cancelled", reason } };
  }
}

/** The state of each job for the process that holds it, in the order of `jobs`. */
export async function holderRowsOf(
  pool: Pool,
  { boss, side }: Schemas,
  jobs: readonly (EngineRef & { readonly retryCount: number; readonly owner: string | undefined })[],
): Promise<HolderRow[]> {
  const { rows } = await pool.query<HolderRow>(
    `SELECT COALESCE(j.state = 'active' AND j.retry_count = r.retry_count
         AND NOT COALESCE(j.heartbeat_on + j.heartbeat_seconds * interval '1 s' < clock_timestamp(), false), false) AS active,
       n.reason, extract(epoch FROM l.until - clock_timestamp()) * 1000 AS left
     FROM unnest($1::text[], $2::uuid[], $3::int[], $4::text[]) WITH ORDINALITY AS r (name, id, retry_count, owner, place)
     LEFT JOIN ${boss}.job j ON j.name = r.name AND j.id = r.id
     LEFT JOIN ${side}.note n ON n.name = r.name AND n.id = r.id
     LEFT JOIN ${side}.lease l ON l.id = r.owner
     ORDER BY r.place`,
    [
      jobs.map(({ queue }) => queueName(queue)),
      jobs.map(jobId),
      jobs.map(({ retryCount }) => retryCount),
      jobs.map(({ owner }) => owner ?? null),
    ],
  );
  return rows;
}
