import { withResolvers, type PromiseObserver } from "../kernel/observer.js";
import { Batcher } from "./batcher.js";
import { EngineClock } from "./engine-clock.js";
import {
  jobKey,
  type CancelRequest,
  type EngineConnection,
  type EngineRef,
  type Envelope,
  type Hint,
  type JobState,
  type WireReason,
} from "./engine.js";
import { OwnerLease } from "./owner-lease.js";
import type { PendingJob } from "./pending-job.js";
import { after, pause, withTimeLimit, monotonicNow, Pause } from "./time.js";

/** How many jobs one heartbeat asks about. The next heartbeats ask about the others. */
const MAX_ASKED = 1_000;
/** How often a lease is renewed within its length. */
export const HEARTBEATS_PER_LEASE = 5;

/**
 * An owner process: its lease, its heartbeats, and the jobs that it waits for. It does not depend on scopes and tasks.
 * Every wait for the engine has a time limit, and a timer decides the end of a lease, not an answer.
 */
export class Owner {
  /** The topic for hints. It stays the same for all leases. */
  readonly topic: string = crypto.randomUUID();
  readonly clock: EngineClock = new EngineClock();
  readonly interval: number;
  readonly #connection: EngineConnection;
  readonly #length: number;
  readonly #onError: (error: unknown) => void;
  /** By {@link jobKey}: two tasks may wait for one job. */
  readonly #jobs = new Map<string, Set<PendingJob>>();
  readonly #pause = new Pause();
  readonly #submits: Batcher<Envelope, { readonly owner?: string | undefined }>;
  readonly #cancels: Batcher<CancelRequest, JobState>;
  #lease: OwnerLease;
  #held: PromiseObserver<OwnerLease> | undefined;
  #stopLeaseTimers = new Map<OwnerLease, () => void>();
  /** The jobs to ask about first, because of hints. */
  #urgent = new Set<PendingJob>();
  /** The position at which the next heartbeat continues. */
  #nextAsked = 0;
  #isClosed = false;
  #loop: Promise<void> | undefined;
  #allEnded: PromiseObserver<void> | undefined;

  constructor(connection: EngineConnection, length: number, onError: (error: unknown) => void) {
    this.#connection = connection;
    this.#length = length;
    this.#onError = onError;
    this.interval = length / HEARTBEATS_PER_LEASE;
    this.#lease = new OwnerLease(crypto.randomUUID(), length);
    this.#submits = new Batcher((jobs) => withTimeLimit(connection.submit(jobs), this.interval));
    this.#cancels = new Batcher((jobs) => withTimeLimit(connection.cancel(jobs), this.interval));
  }

  get leaseLength(): number {
    return this.#length;
  }

  get connection(): EngineConnection {
    return this.#connection;
  }

  /** Begins the heartbeats. */
  async start(): Promise<void> {
    await this.#connection.watch({ owner: this.topic }, (hint) => this.#receiveHint(hint));
    this.#loop = this.#sendHeartbeats();
  }

  /** Resolves with a lease that is held. */
  held(): Promise<OwnerLease> {
    if (this.#lease.state === "held") return Promise.resolve(this.#lease);
    return (this.#held ??= withResolvers<OwnerLease>()).promise;
  }

  add(job: PendingJob, lease: OwnerLease): void {
    const key = jobKey(job.envelope);
    lease.jobs.add(job);
    let jobs = this.#jobs.get(key);
    if (jobs === undefined) this.#jobs.set(key, (jobs = new Set()));
    jobs.add(job);
    void job.ended.then(() => {
      lease.jobs.delete(job);
      this.#urgent.delete(job);
      jobs.delete(job);
      if (jobs.size === 0 && this.#jobs.get(key) === jobs) this.#jobs.delete(key);
      if (this.#jobs.size === 0) this.#allEnded?.resolve(undefined);
    });
  }

  /** Repeats the submit until the job is durable, cancelled or over. */
  async submit(job: PendingJob): Promise<void> {
    const { envelope } = job;
    while (!job.isEnded && !job.isCancelled && !job.isDurable) {
      job.isSent = true;
      const attempt = this.#submits.add(envelope);
      job.submitting = attempt.then(
        () => {},
        () => {},
      );
      try {
        const { owner } = await attempt;
        if (owner !== envelope.owner) return job.end({ refused: true });
        job.isDurable = true;
        if (job.at === "submitting") job.at = "queued";
        if (envelope.chosen === true) this.#askNow(job); // it may have ended long ago
      } catch (error) {
        job.submitError = error;
        this.#onError(error);
        await this.#retryPause();
      }
    }
  }

  /** Submits a detached job: until it is durable or the owner is closed. */
  async submitDetached(envelope: Envelope): Promise<{ readonly owner?: string | undefined } | undefined> {
    while (!this.#isClosed) {
      try {
        return await this.#submits.add(envelope);
      } catch (error) {
        this.#onError(error);
        await this.#retryPause();
      }
    }
    return undefined;
  }

  /** Repeats the cancellation until the engine has answered or the job is over. Waits for a pending submit first. */
  async cancel(job: PendingJob, reason: WireReason): Promise<void> {
    if (job.isCancelled) return;
    job.isCancelled = true;
    job.at = "cancelling";
    await job.submitting;
    if (!job.isSent) return job.end({ never: true });
    const { queue, id, keep } = job.envelope;
    while (!job.isEnded) {
      const state = await this.cancelRef({ queue, id }, reason, keep);
      if (state === undefined) {
        await this.#retryPause();
        continue;
      }
      job.isNoted = true;
      return job.update(state, { durable: true, noted: true });
    }
  }

  /** One attempt to cancel. `undefined` if the engine did not answer. */
  async cancelRef(ref: EngineRef, reason: WireReason, keep: number): Promise<JobState | undefined> {
    try {
      return await this.#cancels.add({ ...ref, reason, keep });
    } catch (error) {
      this.#onError(error);
      return undefined;
    }
  }

  /** One attempt to learn the state of a job. `undefined` if the engine did not answer. */
  async ask(ref: EngineRef): Promise<JobState | undefined> {
    try {
      return (await withTimeLimit(this.#connection.heartbeat({ ask: [ref] }), this.interval)).states[0];
    } catch (error) {
      this.#onError(error);
      return undefined;
    }
  }

  /** Resolves when no job is pending. */
  async allEnded(): Promise<void> {
    if (this.#jobs.size === 0) return;
    await (this.#allEnded ??= withResolvers<void>()).promise;
  }

  /** Ends the heartbeats after the last job has ended, and releases the lease. */
  async close(): Promise<void> {
    await this.allEnded();
    this.#isClosed = true;
    this.#pause.end();
    await this.#loop;
    for (const stop of this.#stopLeaseTimers.values()) stop();
    if (this.#lease.state !== "held") return;
    const end = this.#connection.heartbeat({ owner: { id: this.#lease.id, until: 0 } });
    await withTimeLimit(end, Math.min(this.interval, 1_000)).catch(this.#onError);
  }

  async #sendHeartbeats(): Promise<void> {
    while (!this.#isClosed) {
      const began = monotonicNow();
      const hasAnswered = await this.#sendHeartbeat();
      const rest = this.interval - (monotonicNow() - began);
      if (this.#urgent.size > 0 && hasAnswered) continue;
      if (!this.#isClosed) await this.#pause.wait(hasAnswered ? Math.max(rest, 0) : this.interval / 8);
    }
  }

  /** Returns whether the engine has answered, and the lease is fresh. */
  async #sendHeartbeat(): Promise<boolean> {
    const lease = this.#lease;
    const end = this.clock.isKnown ? lease.nextEnd(this.clock) : undefined;
    if (end !== undefined) this.#watchLease(lease);
    const asked = this.#nextToAsk();
    const known = asked.map((job) => job.known);
    const sentAt = monotonicNow();
    try {
      const answer = await withTimeLimit(
        this.#connection.heartbeat({
          ...(end === undefined ? {} : { owner: { id: lease.id, until: end, fresh: lease.state === "new" } }),
          ask: asked.map(({ envelope }) => ({ queue: envelope.queue, id: envelope.id })),
        }),
        this.interval,
      );
      const isFirst = !this.clock.isKnown;
      this.clock.sample(sentAt, answer.now, monotonicNow());
      asked.forEach((job, index) =>
        job.update(answer.states[index] as JobState, known[index] as PendingJob["known"]),
      );
      if (isFirst || this.#isClosed) return this.#isClosed || (await this.#sendHeartbeat());
      if (end !== undefined) this.#answered(lease, answer.owned === true);
      return this.#lease.state === "held";
    } catch (error) {
      for (const job of asked) if (!job.isEnded && job.isDurable) this.#urgent.add(job);
      this.#onError(error);
      return false;
    }
  }

  #answered(lease: OwnerLease, isOwned: boolean): void {
    lease.answered(isOwned);
    if (lease !== this.#lease) return;
    if (lease.state === "held") {
      this.#held?.resolve(lease);
      this.#held = undefined;
    } else {
      this.#replaceLease();
    }
  }

  /** A lease that was lost is never revived: the process takes a new one. */
  #replaceLease(): void {
    this.#lease = new OwnerLease(crypto.randomUUID(), this.#length);
    this.#pause.end();
  }

  /** Ends the jobs of a lease when it is certainly over, whether the engine answers or not. */
  #watchLease(lease: OwnerLease): void {
    if (this.#stopLeaseTimers.has(lease)) return;
    const check = (): void => {
      this.#stopLeaseTimers.delete(lease);
      const left = lease.certainlyOverAt(this.clock) - monotonicNow();
      if (left > 0) {
        this.#stopLeaseTimers.set(lease, after(left, check));
        return;
      }
      lease.end();
      if (lease === this.#lease) this.#replaceLease();
    };
    this.#stopLeaseTimers.set(lease, after(this.#length, check));
  }

  /** First the jobs that hints name, then the jobs that are being cancelled, then the others in turn. */
  #nextToAsk(): PendingJob[] {
    const asked = new Set(this.#urgent);
    this.#urgent.clear();
    const others: PendingJob[] = [];
    for (const jobs of this.#jobs.values()) {
      for (const job of jobs) {
        if (job.isNoted) asked.add(job);
        else if (job.isDurable) others.push(job);
      }
    }
    const room = Math.min(Math.max(MAX_ASKED - asked.size, 0), others.length);
    for (let index = 0; index < room; index++)
      asked.add(others[(this.#nextAsked + index) % others.length] as PendingJob);
    this.#nextAsked += room;
    return [...asked].slice(0, 2 * MAX_ASKED);
  }

  #receiveHint(hint: Hint | undefined): void {
    if (hint === undefined) {
      for (const jobs of this.#jobs.values())
        for (const job of jobs) if (job.isDurable) this.#urgent.add(job);
      this.#pause.end();
      return;
    }
    for (const job of this.#jobs.get(jobKey(hint)) ?? []) {
      if (hint.outcome !== undefined) {
        job.end({ outcome: hint.outcome });
      } else if (hint.worker === undefined) {
        this.#askNow(job);
      } else {
        job.update({ at: "running", worker: hint.worker, attempt: hint.attempt }, job.known);
      }
    }
    this.onHint?.(hint);
  }

  /** Receives the hints about jobs that are not pending: the jobs that were detached in this process. */
  onHint: ((hint: Hint) => void) | undefined = undefined;

  #askNow(job: PendingJob): void {
    this.#urgent.add(job);
    this.#pause.end();
  }

  #retryPause(): Promise<void> {
    return pause(Math.min(this.interval / 4, 250));
  }
}
