import type { CancelKind } from "../errors/cancelled.js";
import type { Scope } from "../kernel/scope.js";

// The interface between `bough/remote` and a job engine. The engine queues, claims, retries and delays jobs, stores
// results, and detects dead workers. An adapter adds one lease per owner process, one durable note per cancelled job,
// and hints. `engineSuite` of `bough/remote/testing` tests an adapter.

/** Names a job in an engine. A JSON value. */
export interface EngineRef {
  /** `name@version` of the job. An adapter may have to spell it differently in its engine. */
  readonly queue: string;
  /** The id of the job in its queue. */
  readonly id: string;
}

/** The key of a job among all queues. An id is unique in its queue only. */
export function jobKey({ queue, id }: EngineRef): string {
  return `${queue}/${id}`;
}

/** The data that the engine stores for a job. A JSON value. Unknown fields are ignored; fields are never reused. */
export interface Envelope extends EngineRef {
  /** The version of the envelope. A worker gives a job with a newer one back. */
  readonly v: 1;
  /** The name of the job, without its version. */
  readonly name: string;
  /** The data as JSON, after the codec. Absent for `undefined`. */
  readonly body?: string | undefined;
  /** The id of the owner's lease. Absent: detached, the job has no owner. */
  readonly owner?: string | undefined;
  /** The length of the owner's lease, in ms. */
  readonly lease?: number | undefined;
  /** Where hints about this job go: the topic of the process that submitted it. */
  readonly replyTo?: string | undefined;
  /** An instant in the engine's time. */
  readonly deadline?: number | undefined;
  /** The path of the task in the owner's process. */
  readonly path?: string | undefined;
  /** Context values by the names of their keys. */
  readonly context?: Readonly<Record<string, unknown>> | undefined;
  /** W3C trace context: `traceparent`, `tracestate`, `baggage`. */
  readonly trace?: Readonly<Record<string, string>> | undefined;
  /** What to do when the worker process of the job is lost. */
  readonly onWorkerLost: "retry" | "fail";
  /** How many lost workers the job survives. */
  readonly lostRetries: number;
  /** How often the job may fail, the first time included. */
  readonly attempts: number;
  /** The delay before another attempt, in ms; doubled each time if it is exponential. */
  readonly backoff?: Backoff | undefined;
  /** The delay before the first attempt, in ms. */
  readonly delay?: number | undefined;
  /** 0 is the default; greater is sooner. */
  readonly priority?: number | undefined;
  /** How long the engine keeps the result, in ms. */
  readonly keep: number;
  /** The id was chosen by the caller, so that it may exist already. */
  readonly chosen?: true | undefined;
}

/** How long a job waits between two attempts. */
export interface Backoff {
  /** The first delay, in ms. */
  readonly delay: number;
  /** Whether the delay stays, or is doubled each time. */
  readonly type: "fixed" | "exponential";
}

/** A cancellation as JSON. */
export interface WireReason {
  /** The kind of the scope's cancellation. */
  readonly kind: CancelKind;
  /** The path of the scope on which it began. */
  readonly path?: string | undefined;
  /** The `cause` of the reason. */
  readonly cause?: WireValue | undefined;
}

/** An error as JSON. */
export interface WireError {
  /** The `name` of the error. */
  readonly name: string;
  /** Its `message`. */
  readonly message: string;
  /** Its `code`, if that is a string or a number. */
  readonly code?: string | number | undefined;
  /** Its `stack`, shortened. */
  readonly stack?: string | undefined;
  /** Its `cause`. */
  readonly cause?: WireValue | undefined;
  /** The `errors` of an `AggregateError`. */
  readonly errors?: readonly WireValue[] | undefined;
}

/** A value that was thrown, or a cause: an error, or any JSON value. */
export type WireValue = { readonly error: WireError } | { readonly value: unknown };

/** How a job ended. A JSON value. */
export type Outcome =
  | {
      readonly t: "value";
      readonly body?: string | undefined;
      readonly worker?: string;
      readonly attempt?: number;
    }
  | { readonly t: "error"; readonly error: WireValue; readonly worker?: string; readonly attempt?: number }
  | { readonly t: "cancelled"; readonly reason: WireReason }
  | { readonly t: "lost"; readonly why: "worker"; readonly message?: string };

/**
 * The state of a job in the engine:
 *
 * - `outcome`: it has ended, including its cleanup.
 * - `running`: a worker holds it.
 * - `idle`: no worker holds it now. It is queued or delayed, or the lock of its worker has run out.
 * - `missing`: the engine does not have it.
 */
export type JobState =
  | { readonly outcome: Outcome }
  | { readonly at: "running"; readonly worker?: string | undefined; readonly attempt?: number | undefined }
  | { readonly at: "idle" | "missing" };

/** A job that a worker has fetched: it is the holder until its lock runs out. */
export interface Delivery {
  /** The stored data of the job. */
  readonly envelope: Envelope;
  /** The fencing token: greater for every start of the job. */
  readonly attempt: number;
  /** How often the job has failed before. */
  readonly failedBefore: number;
  /** How often a worker of the job was lost before. */
  readonly lostBefore: number;
  /** `monotonicNow()` before the fetch was sent: the lock can't have begun earlier. */
  readonly since: number;
}

/** How a worker ends a job that it has fetched. */
export type Settlement =
  /** It has ended. The engine stores the outcome, and hints it to `replyTo`. */
  | { readonly outcome: Outcome }
  /** It has failed, and must be tried again after the backoff. */
  | { readonly retry: Outcome }
  /** It goes back to the queue, for any worker, and counts as no attempt. */
  | { readonly release: true; readonly delay?: number | undefined };

/** A message between processes that only saves time. It may be lost, and may come twice. */
export interface Hint extends EngineRef {
  /** To an owner: the job has ended. Without any other field: it is worth asking. */
  readonly outcome?: Outcome | undefined;
  /** To an owner: the worker that runs it. */
  readonly worker?: string | undefined;
  /** To an owner: how often the job has been started. */
  readonly attempt?: number | undefined;
  /** To a worker: the job is cancelled, and the note of that is durable. */
  readonly reason?: WireReason | undefined;
}

/** Where hints go: to the process that submitted a job, or to the workers of a queue. */
export type Topic = { readonly owner: string } | { readonly queue: string };

/** The tasks of one {@link EngineConnection.heartbeat}, all in one round trip. */
export interface Beat {
  /**
   * Sets the end of an owner's lease, an instant in the engine's time. It never moves back. A lease that has ended, or
   * does not exist, is not revived unless it is `fresh`. An instant of 0 ends the lease.
   */
  readonly owner?:
    { readonly id: string; readonly until: number; readonly fresh?: boolean | undefined } | undefined;
  /** The jobs whose state is asked for. */
  readonly ask?: readonly EngineRef[] | undefined;
  /** The jobs that this process holds. `renew` extends their locks by `lease` ms. */
  readonly hold?:
    { readonly lease: number; readonly renew: boolean; readonly deliveries: readonly Delivery[] } | undefined;
}

/** The answer to {@link EngineConnection.heartbeat}. */
export interface BeatAnswer {
  /** The engine's time, in epoch ms. */
  readonly now: number;
  /** Whether the owner's lease exists, with the end that was asked for or a later one. */
  readonly owned?: boolean | undefined;
  /** The states of the jobs asked for, in order. */
  readonly states: readonly JobState[];
  /** The jobs held, in order. */
  readonly held: readonly Held[];
}

/** The state of a job for the process that holds it. */
export interface Held {
  /** The process does not hold it any more. */
  readonly lost: boolean;
  /** There is a note that it is cancelled. */
  readonly cancelled?: WireReason | undefined;
  /** The remaining ms of its owner's lease: 0 or less if it has ended. Absent for a detached job. */
  readonly ownerLeft?: number | undefined;
}

/** How a worker process fetches jobs. */
export interface ConsumeOptions {
  /** How many jobs may run at once. */
  readonly concurrency: number;
  /** The length of a job's lock, in ms. */
  readonly lease: number;
  /** The name of this process, for people. */
  readonly worker: string;
  /** Receives errors that end nothing: a connection that is lost, for example. */
  readonly onError: (error: unknown) => void;
}

/** The fetching of jobs of one queue. */
export interface Consumer {
  /** Changes how many jobs may run at once; 0 fetches nothing. An engine that can't fetch less may ignore it. */
  setConcurrency?(count: number): void;
  /** Fetches no more. Resolves when the jobs that run have been settled. */
  stop(): Promise<void>;
}

/**
 * A connection of one process to an engine. A call that does not get through rejects or stays pending. `bough/remote` gives
 * each call a time limit and repeats it. So every call must be repeatable, also after it had an effect.
 */
export interface EngineConnection {
  /**
   * Stores jobs. Resolves when they are durable. A job whose id exists is not stored again; the answer has the owner that
   * it was stored with.
   */
  submit(jobs: readonly Envelope[]): Promise<readonly { readonly owner?: string | undefined }[]>;

  /**
   * For each job, in this order: makes a durable note that it is cancelled, hints that to the workers of its queue, then
   * looks at its state. A worker reads the note after it became the holder and before it calls anything. So `idle` and
   * `missing` mean that the job does not start any more.
   *
   * @returns The states, in order. `idle` jobs may be removed; a note outlives the job by `keep` ms.
   */
  cancel(
    jobs: readonly (EngineRef & { readonly reason: WireReason; readonly keep: number })[],
  ): Promise<readonly JobState[]>;

  /** Everything periodic in one round trip. */
  heartbeat(beat: Beat): Promise<BeatAnswer>;

  /** Sends hints. Resolves, or rejects, without consequence. */
  hint(topic: Topic, hints: readonly Hint[]): Promise<void>;

  /**
   * Receives the hints of a topic until the connection ends. Calls `listener` without an argument when hints may have been
   * missed. Resolves when it listens.
   */
  watch(topic: Topic, listener: (hint?: Hint) => void): Promise<void>;

  /**
   * Fetches jobs of a queue and calls `run` for each. Stores what `run` resolves with, fenced by the attempt: the result of
   * a worker whose lock has run out is refused. `run` never rejects.
   */
  consume(
    queue: string,
    options: ConsumeOptions,
    run: (delivery: Delivery) => Promise<Settlement>,
  ): Promise<Consumer>;
}

/** A job to cancel, as {@link EngineConnection.cancel} gets it. */
export type CancelRequest = Parameters<EngineConnection["cancel"]>[0][number];

/**
 * A job engine, as `bough/remote` needs it: the port that an adapter implements.
 *
 * @example An adapter, in outline
 * ```ts
 * function myEngine(url: string): Engine {
 *   return {
 *     name: "mine",
 *     async open(scope) {
 *       const client = await connect(url);
 *       scope.defer(() => client.close());
 *       return new MyConnection(client);
 *     },
 *   };
 * }
 * declare function connect(url: string): Promise<{ close(): void }>;
 * declare class MyConnection implements EngineConnection {
 *   constructor(client: object);
 *   submit: EngineConnection["submit"];
 *   cancel: EngineConnection["cancel"];
 *   heartbeat: EngineConnection["heartbeat"];
 *   hint: EngineConnection["hint"];
 *   watch: EngineConnection["watch"];
 *   consume: EngineConnection["consume"];
 * }
 * ```
 */
export interface Engine {
  /** For messages. */
  readonly name: string;
  /**
   * Connects. Its resources are closed by a `defer` of `scope`, after everything that uses the connection has
   * settled.
   */
  open(scope: Scope): Promise<EngineConnection>;
}
