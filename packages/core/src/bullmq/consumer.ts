import { DelayedError, UnrecoverableError, WaitingError, Worker, type Job } from "bullmq";
import type { Redis } from "ioredis";
import { calendarNow } from "../kernel/platform.js";
import type { ConsumeOptions, Consumer, Delivery, Envelope, Outcome, Settlement } from "../remote/engine.js";
import { toEnvelope } from "../remote/read-envelope.js";
import { pause, withTimeLimit, monotonicNow } from "../remote/time.js";
import { jobId, toFailedReason } from "./redis-data.js";

/** How long one command of a release, or the closing of a worker, may take, in ms. */
const RELEASE_TIMEOUT = 3_000;

interface Settings {
  readonly client: Redis;
  readonly prefix: string;
  /** A job has ended for good. */
  readonly ended: (envelope: Envelope, outcome: Outcome) => void;
}

/** The outcomes of failed jobs, by the error that the processor throws: passes them to the event that follows. */
const outcomes = new WeakMap<Error, Outcome>();

/** Redis refuses writes with these errors: it is full, has no disk, or is not the primary. */
const REFUSAL = /\b(?:OOM|READONLY|NOREPLICAS|MISCONF|LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN)\b/;
const REFUSAL_PAUSE = 100;

/**
 * BullMQ fails a job whose result Redis refuses to store. This class treats the refusal as an outage, and tries again
 * while the lock may be held.
 */
class RetryingWorker extends Worker<Envelope, Outcome> {
  protected override handleCompleted(
    ...args: Parameters<Worker<Envelope, Outcome>["handleCompleted"]>
  ): ReturnType<Worker<Envelope, Outcome>["handleCompleted"]> {
    return this.#retryRefused(() => super.handleCompleted(...args));
  }

  protected override handleFailed(
    ...args: Parameters<Worker<Envelope, Outcome>["handleFailed"]>
  ): ReturnType<Worker<Envelope, Outcome>["handleFailed"]> {
    return this.#retryRefused(() => super.handleFailed(...args));
  }

  async #retryRefused<T>(store: () => Promise<T>): Promise<T> {
    const until = monotonicNow() + (this.opts.lockDuration ?? 0);
    for (;;) {
      try {
        return await store();
      } catch (error) {
        if (!REFUSAL.test((error as Error).message) || monotonicNow() > until) throw error;
        this.emit("error", error as Error);
        await pause(REFUSAL_PAUSE);
      }
    }
  }
}

/** A worker of BullMQ. `bough/remote` renews the locks itself, since it must know when a renewal was sent. */
export class BullmqConsumer implements Consumer {
  readonly #worker: Worker<Envelope, Outcome>;
  readonly #options: ConsumeOptions;
  readonly #run: (delivery: Delivery) => Promise<Settlement>;
  readonly #runs = new Set<Promise<unknown>>();
  readonly #tokens = new Map<Delivery, string>();
  readonly #wakeOthers: () => Promise<unknown>;
  #isStopped = false;
  #stopped: Promise<void> | undefined;
  #hasReleased = false;

  constructor(
    queue: string,
    options: ConsumeOptions,
    run: (delivery: Delivery) => Promise<Settlement>,
    { client, prefix, ended }: Settings,
  ) {
    const { concurrency, lease, worker, onError } = options;
    this.#options = options;
    this.#wakeOthers = () => client.zadd(`${prefix}:${queue}:marker`, 0, "0"); // the key that wakes a worker of BullMQ
    this.#run = run;
    this.#worker = new RetryingWorker(queue, (job, token) => this.#process(job, token ?? ""), {
      connection: client,
      prefix,
      name: worker,
      concurrency,
      lockDuration: lease,
      skipLockRenewal: true,
      // It takes two checks to notice a lost worker.
      stalledInterval: Math.min(Math.max(lease / 4, 250), 5_000),
      maxStalledCount: 1_000_000, // `lostRetries` of the job decides
      runRetryDelay: 200,
      drainDelay: 5,
    });
    this.#worker.on("error", onError);
    this.#worker.on("completed", (job, outcome) => ended(envelopeOf(job), outcome));
    this.#worker.on("failed", (job, error) => {
      const outcome = outcomes.get(error);
      if (job?.finishedOn !== undefined && outcome !== undefined) ended(envelopeOf(job), outcome);
    });
  }

  ready(): Promise<unknown> {
    return this.#worker.waitUntilReady();
  }

  /** The token of the lock of a job that runs here. */
  tokenOf(delivery: Delivery): string | undefined {
    return this.#tokens.get(delivery);
  }

  extendLocks(ids: string[], tokens: string[], ms: number): Promise<string[]> {
    return this.#worker.extendJobLocks(ids, tokens, ms);
  }

  setConcurrency(count: number): void {
    this.#worker.concurrency = Math.max(count, 1);
  }

  stop(): Promise<void> {
    return (this.#stopped ??= this.#stop());
  }

  async #stop(): Promise<void> {
    this.#isStopped = true;
    const closed = this.#worker.close(); // waits for the jobs that run
    closed.catch(this.#options.onError);
    while (this.#runs.size > 0) await Promise.all(this.#runs);
    await withTimeLimit(closed, RELEASE_TIMEOUT).catch(this.#options.onError);
    // The jobs that this worker has given back may have woken it.
    if (this.#hasReleased)
      await withTimeLimit(this.#wakeOthers(), RELEASE_TIMEOUT).catch(this.#options.onError);
  }

  #process(job: Job<Envelope, Outcome>, token: string): Promise<Outcome> {
    const run = this.#settle(job, token);
    const ended = run.then(
      () => {},
      () => {},
    );
    this.#runs.add(ended);
    void ended.then(() => this.#runs.delete(ended));
    return run;
  }

  async #settle(job: Job<Envelope, Outcome>, token: string): Promise<Outcome> {
    if (this.#isStopped) return this.#release(job, token, undefined);
    const delivery: Delivery = {
      envelope: envelopeOf(job),
      attempt: job.attemptsStarted,
      failedBefore: job.attemptsMade,
      lostBefore: job.stalledCounter,
      // `processedOn` is the calendar of this process when it sent the fetch.
      since: monotonicNow() - Math.max(calendarNow() - (job.processedOn ?? calendarNow()), 0),
    };
    this.#tokens.set(delivery, token);
    try {
      const settlement = await this.#run(delivery);
      if ("release" in settlement) return await this.#release(job, token, settlement.delay);
      if ("retry" in settlement) throw failure(settlement.retry, false);
      const { outcome } = settlement;
      if (outcome.t === "error" || outcome.t === "lost") throw failure(outcome, true);
      return outcome;
    } finally {
      this.#tokens.delete(delivery);
    }
  }

  /** Returns a job to its queue. If that fails, its lock expires, and the job counts as that of a lost worker. */
  async #release(job: Job<Envelope, Outcome>, token: string, delay: number | undefined): Promise<never> {
    this.#hasReleased = true;
    try {
      if (delay === undefined) await withTimeLimit(job.moveToWait(token), RELEASE_TIMEOUT);
      else await withTimeLimit(job.moveToDelayed(calendarNow() + delay, token), RELEASE_TIMEOUT);
    } catch (error) {
      this.#options.onError(error);
    }
    throw delay === undefined ? new WaitingError() : new DelayedError();
  }
}

function envelopeOf({ data, queueName, id = "" }: Job<Envelope, Outcome>): Envelope {
  return toEnvelope(data, queueName, id, (ref) => ref.queue === queueName && jobId(ref) === id);
}

function failure(outcome: Outcome, isFinal: boolean): Error {
  const message = toFailedReason(outcome);
  const error = isFinal ? new UnrecoverableError(message) : new Error(message);
  outcomes.set(error, outcome);
  return error;
}
