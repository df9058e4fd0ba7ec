import { Batcher } from "./batcher.js";
import type { EngineClock } from "./engine-clock.js";
import { jobKey, type EngineConnection, type Held, type Hint } from "./engine.js";
import { HEARTBEATS_PER_LEASE } from "./owner.js";
import type { RunningJob } from "./running-job.js";
import { after, withTimeLimit, monotonicNow } from "./time.js";

interface HolderOptions {
  /** The length of the worker's locks. */
  readonly lease: number;
  readonly worker: string;
  readonly clock: EngineClock;
  readonly onError: (error: unknown) => void;
}

interface Checked {
  readonly held: Held;
  readonly askedAt: number;
}

/**
 * The jobs that a worker process holds: renews their locks, and checks their owners' leases and the notes that cancel
 * them. It cancels a job that must not run any longer, also when the engine does not answer.
 */
export class JobHolder {
  readonly #connection: EngineConnection;
  readonly #options: HolderOptions;
  readonly #jobs = new Set<RunningJob>();
  readonly #byKey = new Map<string, RunningJob>();
  readonly #checks: Batcher<RunningJob, Checked>;
  #clearHeartbeatTimer: (() => void) | undefined;
  #clearStopTimer: (() => void) | undefined;
  #stopAt = Infinity;
  #heartbeatAt = Infinity;
  #isSending = false;

  constructor(connection: EngineConnection, options: HolderOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#checks = new Batcher((jobs) => this.#check(jobs));
  }

  /**
   * Adds a job that was just fetched, and asks whether it may be started. From now on a cancellation reaches it.
   *
   * @returns Whether it may; if not, `job.stopped` says why.
   */
  async add(job: RunningJob): Promise<boolean> {
    this.#jobs.add(job);
    this.#byKey.set(jobKey(job.delivery.envelope), job);
    this.#schedule();
    try {
      const { held, askedAt } = await this.#checks.add(job);
      job.update(held, askedAt, undefined);
      this.#schedule();
    } catch (error) {
      this.#options.onError(error);
      job.stop({ by: "lost" });
    }
    return job.stopped === undefined;
  }

  delete(job: RunningJob): void {
    this.#jobs.delete(job);
    const key = jobKey(job.delivery.envelope);
    if (this.#byKey.get(key) === job) this.#byKey.delete(key);
    if (this.#jobs.size === 0) this.close();
  }

  receiveHint(hint: Hint | undefined): void {
    if (hint === undefined) return void this.#sendHeartbeat();
    const job = this.#byKey.get(jobKey(hint));
    if (job === undefined || hint.reason === undefined) return;
    job.stop({ by: "note", reason: hint.reason });
    this.#announce([job]);
  }

  /** Stops the timers. */
  close(): void {
    this.#clearHeartbeatTimer?.();
    this.#clearStopTimer?.();
    this.#clearHeartbeatTimer = this.#clearStopTimer = undefined;
    this.#stopAt = this.#heartbeatAt = Infinity;
  }

  /** The interval follows the shortest lease, of this worker or of an owner. */
  #interval(): number {
    let shortest = this.#options.lease;
    for (const { delivery } of this.#jobs) shortest = Math.min(shortest, delivery.envelope.lease ?? Infinity);
    return shortest / HEARTBEATS_PER_LEASE;
  }

  /** Sets the timers: for the next heartbeat, and for the first job to cancel without an answer. */
  #schedule(): void {
    if (this.#jobs.size === 0) return;
    const now = monotonicNow();
    if (!this.#isSending) {
      const at = now + this.#interval();
      if (this.#clearHeartbeatTimer === undefined || at < this.#heartbeatAt - 1)
        this.#scheduleHeartbeat(at - now);
    }
    let first = Infinity;
    for (const job of this.#jobs) if (job.stopped === undefined) first = Math.min(first, job.mustStopAt);
    // A limit that moves back needs no new timer: when the old one fires, it sets the next.
    if (first === Infinity || (this.#clearStopTimer !== undefined && first >= this.#stopAt)) return;
    this.#clearStopTimer?.();
    this.#stopAt = first;
    this.#clearStopTimer = after(first - now, () => {
      this.#clearStopTimer = undefined;
      this.#stopAt = Infinity;
      for (const job of this.#jobs) job.stopIfDue();
      this.#schedule();
    });
  }

  #scheduleHeartbeat(ms: number): void {
    this.#clearHeartbeatTimer?.();
    this.#heartbeatAt = monotonicNow() + ms;
    this.#clearHeartbeatTimer = after(ms, () => {
      this.#clearHeartbeatTimer = undefined;
      void this.#sendHeartbeat();
    });
  }

  /** Renews all locks. */
  async #sendHeartbeat(): Promise<void> {
    if (this.#isSending || this.#jobs.size === 0) return;
    this.#isSending = true;
    this.#clearHeartbeatTimer?.();
    this.#clearHeartbeatTimer = undefined;
    const began = monotonicNow();
    const interval = this.#interval();
    const jobs = [...this.#jobs];
    let hasAnswered = false;
    try {
      const held = await this.#ask(jobs, true, interval);
      jobs.forEach((job, index) => job.update(held[index] as Held, began, this.#options.lease));
      hasAnswered = true;
      this.#announce(jobs.filter((job) => !job.isAnnounced));
    } catch (error) {
      this.#options.onError(error);
    }
    for (const job of this.#jobs) job.stopIfDue();
    this.#isSending = false;
    this.#schedule();
    if (!hasAnswered && this.#jobs.size > 0) this.#scheduleHeartbeat(interval / 8);
  }

  async #check(jobs: readonly RunningJob[]): Promise<Checked[]> {
    const askedAt = monotonicNow();
    const held = await this.#ask(jobs, false, this.#interval());
    return held.map((each) => ({ held: each, askedAt }));
  }

  async #ask(jobs: readonly RunningJob[], renew: boolean, ms: number): Promise<readonly Held[]> {
    const askedAt = monotonicNow();
    const deliveries = jobs.map(({ delivery }) => delivery);
    const answer = await withTimeLimit(
      this.#connection.heartbeat({ hold: { lease: this.#options.lease, renew, deliveries } }),
      ms,
    );
    this.#options.clock.sample(askedAt, answer.now, monotonicNow());
    return answer.held;
  }

  /** Notifies the owners which worker runs their jobs, except for jobs that end before the first heartbeat. */
  #announce(jobs: readonly RunningJob[]): void {
    const byOwner = new Map<string, Hint[]>();
    for (const job of jobs) {
      const { replyTo, queue, id } = job.delivery.envelope;
      job.isAnnounced = true;
      if (replyTo === undefined) continue;
      const hints = byOwner.get(replyTo) ?? [];
      byOwner.set(replyTo, hints);
      hints.push({ queue, id, worker: this.#options.worker, attempt: job.delivery.attempt });
    }
    for (const [owner, hints] of byOwner)
      this.#connection.hint({ owner }, hints).catch(this.#options.onError);
  }
}
