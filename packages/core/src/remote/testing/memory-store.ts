import {
  jobKey,
  type BeatAnswer,
  type CancelRequest,
  type Delivery,
  type EngineRef,
  type Envelope,
  type Held,
  type Hint,
  type JobState,
  type Outcome,
  type Settlement,
  type Topic,
  type WireReason,
} from "../engine.js";
import { after, monotonicNow } from "../time.js";

/** A job in the memory engine. */
export interface StoredJobInfo extends EngineRef {
  /** Where it is. */
  readonly at: "queued" | "delayed" | "running";
  /** How often it has been started. */
  readonly attempt: number;
}

interface StoredJob {
  readonly envelope: Envelope;
  readonly order: number;
  readonly storedAt: number;
  at: "queued" | "delayed" | "running" | "ended";
  attempt: number;
  failed: number;
  lost: number;
  worker: string | undefined;
  outcome: Outcome | undefined;
  /** Stops the timer of a lock, of a delay, or of the retention. */
  stopTimer: () => void;
}

/** Fetches jobs for a consumer when there are any. */
export interface MemoryConsumer {
  readonly queue: string;
  readonly worker: string;
  readonly lease: number;
  hasRoom(): boolean;
  take(delivery: Delivery): void;
}

/** The state of a memory engine: jobs, leases, notes and listeners. */
export class MemoryStore {
  readonly #now: () => number;
  readonly #jobs = new Map<string, StoredJob>();
  readonly #notes = new Map<
    string,
    { readonly reason: WireReason; readonly madeAt: number; readonly stop: () => void }
  >();
  readonly #leases = new Map<string, { until: number; readonly madeAt: number }>();
  readonly #consumers = new Set<MemoryConsumer>();
  readonly #listeners = new Map<string, Set<(hint: Hint) => void>>();
  #order = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  submit(envelope: Envelope): { readonly owner?: string | undefined } {
    const key = jobKey(envelope);
    const existing = this.#jobs.get(key);
    if (existing !== undefined) return { owner: existing.envelope.owner };
    const job: StoredJob = {
      envelope: JSON.parse(JSON.stringify(envelope)) as Envelope,
      order: this.#order++,
      storedAt: monotonicNow(),
      at: "queued",
      attempt: 0,
      failed: 0,
      lost: 0,
      worker: undefined,
      outcome: undefined,
      stopTimer: () => {},
    };
    this.#jobs.set(key, job);
    this.#enqueue(job, envelope.delay ?? 0);
    return { owner: envelope.owner };
  }

  cancel({ reason, keep, ...ref }: CancelRequest): JobState {
    const key = jobKey(ref);
    const job = this.#jobs.get(key);
    if (job?.outcome !== undefined) return { outcome: job.outcome };
    if (!this.#notes.has(key)) {
      const stop = after(keep, () => void this.#notes.delete(key), false);
      this.#notes.set(key, { reason, madeAt: monotonicNow(), stop });
    }
    this.publish({ queue: ref.queue }, [{ ...ref, reason }]);
    const state = this.state(ref);
    if (job !== undefined && job.at !== "running") this.#end(job, { t: "cancelled", reason });
    return state;
  }

  state(ref: EngineRef): JobState {
    const key = jobKey(ref);
    const job = this.#jobs.get(key);
    if (job === undefined) {
      const note = this.#notes.get(key);
      return note === undefined ? { at: "missing" } : { outcome: { t: "cancelled", reason: note.reason } };
    }
    if (job.outcome !== undefined) return { outcome: job.outcome };
    return job.at === "running"
      ? { at: "running", worker: job.worker, attempt: job.attempt }
      : { at: "idle" };
  }

  lease({
    id,
    until,
    fresh,
  }: {
    readonly id: string;
    readonly until: number;
    readonly fresh?: boolean | undefined;
  }): boolean {
    const now = this.#now();
    const lease = this.#leases.get(id);
    if (until === 0) return this.#leases.delete(id);
    if (lease !== undefined && lease.until > now) {
      lease.until = Math.max(lease.until, until);
      return true;
    }
    this.#leases.delete(id);
    if (fresh !== true || until <= now) return false;
    this.#leases.set(id, { until, madeAt: monotonicNow() });
    return true;
  }

  held(delivery: Delivery, renew: number | undefined): Held {
    const { envelope } = delivery;
    const key = jobKey(envelope);
    const job = this.#jobs.get(key);
    const isHeld = job?.at === "running" && job.attempt === delivery.attempt;
    if (isHeld && renew !== undefined) this.#lock(job, renew);
    const { owner } = envelope;
    return {
      lost: !isHeld,
      cancelled: this.#notes.get(key)?.reason,
      ...(owner === undefined ? {} : { ownerLeft: (this.#leases.get(owner)?.until ?? 0) - this.#now() }),
    };
  }

  answer(states: readonly JobState[], held: readonly Held[], owned: boolean | undefined): BeatAnswer {
    return { now: this.#now(), states, held, owned };
  }

  /** Stores the report of a worker, unless it is not the holder any more. */
  settle(delivery: Delivery, settlement: Settlement): void {
    const job = this.#jobs.get(jobKey(delivery.envelope));
    if (job === undefined || job.at !== "running" || job.attempt !== delivery.attempt) return;
    job.stopTimer();
    if ("outcome" in settlement) return this.#end(job, settlement.outcome);
    if ("release" in settlement) return this.#enqueue(job, settlement.delay ?? 0);
    job.failed += 1;
    const { backoff } = job.envelope;
    const factor = backoff?.type === "exponential" ? 2 ** (job.failed - 1) : 1;
    this.#enqueue(job, (backoff?.delay ?? 0) * factor);
  }

  addConsumer(consumer: MemoryConsumer): void {
    this.#consumers.add(consumer);
    this.offer(consumer.queue);
  }

  removeConsumer(consumer: MemoryConsumer): void {
    this.#consumers.delete(consumer);
  }

  /** Gives waiting jobs to consumers with room. */
  offer(queue: string): void {
    const waiting = [...this.#jobs.values()]
      .filter((job) => job.at === "queued" && job.envelope.queue === queue)
      .toSorted((a, b) => (b.envelope.priority ?? 0) - (a.envelope.priority ?? 0) || a.order - b.order);
    for (const job of waiting) {
      const consumer = [...this.#consumers].find((each) => each.queue === queue && each.hasRoom());
      if (consumer === undefined) return;
      this.#consumers.delete(consumer); // in turn
      this.#consumers.add(consumer);
      job.at = "running";
      job.attempt += 1;
      job.worker = consumer.worker;
      this.#lock(job, consumer.lease);
      consumer.take({
        envelope: job.envelope,
        attempt: job.attempt,
        failedBefore: job.failed,
        lostBefore: job.lost,
        since: monotonicNow(),
      });
    }
  }

  publish(topic: Topic, hints: readonly Hint[]): void {
    for (const listener of this.#listeners.get(topicKey(topic)) ?? [])
      for (const hint of hints) listener(hint);
  }

  subscribe(topic: Topic, listener: (hint: Hint) => void): () => void {
    const key = topicKey(topic);
    const listeners = this.#listeners.get(key) ?? new Set();
    this.#listeners.set(key, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  lose(ms: number): void {
    const from = monotonicNow() - ms;
    for (const [key, job] of this.#jobs) {
      if (job.storedAt < from) continue;
      job.stopTimer();
      this.#jobs.delete(key);
    }
    for (const [key, { madeAt, stop }] of this.#notes) {
      if (madeAt < from) continue;
      stop();
      this.#notes.delete(key);
    }
    for (const [key, { madeAt }] of this.#leases) if (madeAt >= from) this.#leases.delete(key);
  }

  unfinished(): StoredJobInfo[] {
    const jobs = [...this.#jobs.values()].filter((job) => job.at !== "ended");
    return jobs.map(({ envelope, at, attempt }) => ({
      queue: envelope.queue,
      id: envelope.id,
      at: at as StoredJobInfo["at"],
      attempt,
    }));
  }

  countLeases(): number {
    return [...this.#leases.values()].filter(({ until }) => until > this.#now()).length;
  }

  #enqueue(job: StoredJob, delay: number): void {
    job.worker = undefined;
    job.at = delay > 0 ? "delayed" : "queued";
    if (delay <= 0) return this.offer(job.envelope.queue);
    job.stopTimer = after(delay, () => this.#enqueue(job, 0));
  }

  #lock(job: StoredJob, lease: number): void {
    job.stopTimer();
    job.stopTimer = after(lease, () => {
      job.lost += 1;
      this.#enqueue(job, 0);
    });
  }

  #end(job: StoredJob, outcome: Outcome): void {
    job.stopTimer();
    job.at = "ended";
    job.outcome = outcome;
    const { replyTo, queue, id, keep } = job.envelope;
    job.stopTimer = after(keep, () => void this.#jobs.delete(jobKey(job.envelope)), false);
    if (replyTo !== undefined) this.publish({ owner: replyTo }, [{ queue, id, outcome }]);
  }
}

function topicKey(topic: Topic): string {
  return "owner" in topic ? `owner ${topic.owner}` : `queue ${topic.queue}`;
}
