import { cancelAs } from "../adapter/cancel-as.js";
import { annotate } from "../adapter/annotate.js";
import { ScopeClosedError } from "../errors/scope-errors.js";
import { wrongType } from "../errors/validate.js";
import { createSemaphore } from "../flow/sync/semaphore.js";
import { callSite } from "../kernel/call-site.js";
import type { ScopeNode } from "../kernel/node.js";
import type { Scope } from "../kernel/scope.js";
import { nodeOf } from "../task/node-of.js";
import { startTask } from "../task/spawn.js";
import type { Task } from "../task/task.js";
import { jobKey, type Engine, type EngineRef, type JobState } from "./engine.js";
import { RemoteLostError, RemoteRefusedError } from "./errors.js";
import { requireJob, requireRef, type Job, type JobRef } from "./job.js";
import { Owner } from "./owner.js";
import { decodePayload, encodePayload } from "./payload.js";
import {
  checkDetachOptions,
  checkRemoteOptions,
  checkRemoteTaskOptions,
  toBackoff,
  type DetachJobOptions,
  type RemoteOptions,
  type RemoteTaskOptions,
} from "./remote-options.js";
import { reporterOf } from "./reporter.js";
import { runRemote, unreadable, type Draft, type RemoteSettings } from "./remote-task.js";
import { after, pause } from "./time.js";
import { decodeThrown, encodeReason, encodeThrown, readOutcome } from "./wire.js";

const DAY = 86_400_000;
export const DEFAULT_LEASE = 15_000;
export const DEFAULT_MAX_SIZE = 1_000_000;

/** The options of {@link Remote.attach}. */
export interface AttachOptions<Out> {
  /** Whether cancelling the wait cancels the job. Default `"leave"`. */
  readonly onCancel?: "leave" | "cancel" | undefined;
  /** The name of the task. Default: the queue of the job. */
  readonly name?: string | undefined;
  /** The job's definition, whose `parseResult` checks the result. Default: it is not checked. */
  readonly job?: Job<unknown, Out> | undefined;
}

/** Starts jobs in other processes. Made by {@link connectRemote}. */
export interface Remote {
  /**
   * Starts a job as a child task of `scope`. The task settles when the job has stopped, including its cleanup.
   *
   * **Cancellation:** the job's scope, in the worker's process, is cancelled with the kind, the path and the cause of the
   * task's. A job that is still queued never starts.
   *
   * **Failure:** the task fails with a `RemoteError` if the job throws, and with a `RemoteLostError` if its outcome
   * can't be known. It fails with a `RemoteRefusedError` if the data can't be sent, and with its own
   * `DeadlineExceededError`.
   *
   * @param scope - The owner of the task.
   * @param job - Made by `defineJob`.
   * @param data - Written as JSON.
   * @param options - `timeout`, `attempts`, `onWorkerLost` and others.
   */
  spawn<In, Out>(scope: Scope, job: Job<In, Out>, data: In, options?: RemoteTaskOptions): Task<Out>;
  /**
   * Submits a job without an owner: it has no lease, and outlives this process.
   *
   * @returns A reference, once the job is durable in the engine. A JSON value.
   */
  detach<In, Out>(job: Job<In, Out>, data: In, options?: DetachJobOptions): Promise<JobRef<Out>>;
  /**
   * Waits for a detached job, in a child task of `scope`. Its result is available while the engine keeps it.
   *
   * **Cancellation:** ends the wait. The job continues, unless `onCancel` is `"cancel"`: then it is cancelled and
   * awaited.
   *
   * **Failure:** as `spawn`. A job that the engine does not have is a `RemoteLostError` (`"missing"`).
   */
  attach<Out>(scope: Scope, ref: JobRef<Out>, options?: AttachOptions<Out>): Task<Out>;
  /**
   * Cancels a detached job. Resolves when the engine has the note of that; the job may still be stopping.
   *
   * @param cause - What `reason.cause` will hold in the job, as far as it is JSON or an error.
   */
  cancel(ref: EngineRef, cause?: unknown): Promise<void>;
}

/**
 * Connects this process, as an owner of jobs, to an engine. The connection lives as long as `scope`.
 *
 * The process has one lease, which it renews while it lives. When it dies, or is cut off, the workers cancel its jobs by the
 * time the lease is over. The lease is renewed until the last job of the process has settled.
 *
 * **Cancellation:** cancelling `scope` cancels the jobs in it, as any child task. Jobs that were spawned in another scope
 * are cancelled (kind `"closed"`) when `scope` ends.
 *
 * **Failure:** rejects if the engine can't be opened. A connection that is lost later is repaired; an outage that is longer
 * than the lease fails the tasks with a `RemoteLostError`.
 *
 * @param scope - Ends the connection when all its other work has ended.
 * @param engine - Of `bough/pg-boss`, `bough/bullmq`, or any other adapter.
 * @param options - The lease and others.
 * @returns The connection.
 * @throws {TypeError | RangeError} If an argument is bad (as a rejection).
 * @example An owner and a worker in one process, on the engine for tests
 * ```ts
 * const double = defineJob<number, number>("double");
 * const engine = memoryEngine();
 *
 * await withScope(async (scope) => {
 *   const service = await serve(scope, engine, [implement(double, (job, data) => data * 2)]);
 *   await withScope(scope, async (owner) => {
 *     const remote = await connectRemote(owner, engine);
 *     console.log(await remote.spawn(owner, double, 21)); // 42
 *   });
 *   await service.drain();
 * });
 * ```
 */
export async function connectRemote(
  scope: Scope,
  engine: Engine,
  options: RemoteOptions = {},
): Promise<Remote> {
  const node = nodeOf("connectRemote", "scope", scope);
  requireEngine("connectRemote", engine);
  checkRemoteOptions(options);
  return connect(node, engine, options);
}

/** A function apart from `connectRemote`, so that its closures do not keep an owner handle alive. */
async function connect(node: ScopeNode, engine: Engine, options: RemoteOptions): Promise<Remote> {
  node.throwIfCancelled();
  const connection = await engine.open(node);
  const { maxPending = Infinity, lease = DEFAULT_LEASE } = options;
  const owner = new Owner(connection, lease, reporterOf(options.onError));
  const room = maxPending === Infinity ? undefined : createSemaphore(maxPending);
  const remote = new EngineRemote({
    owner,
    payload: { maxSize: options.maxSize ?? DEFAULT_MAX_SIZE, codec: options.codec },
    contexts: options.contexts ?? [],
    trace: options.trace,
    redact: options.redact,
    takeRoom: room === undefined ? undefined : (task) => room.acquire(task),
  });
  node.defer(() => remote.close());
  await owner.start();
  return remote;
}

export function requireEngine(operation: string, engine: unknown): asserts engine is Engine {
  if (typeof (engine as Engine | null | undefined)?.open === "function") return;
  throw wrongType(operation, "engine must be an Engine, such as memoryEngine()", engine);
}

class EngineRemote implements Remote {
  readonly #settings: RemoteSettings;
  /** The tasks that are not settled. */
  readonly #tasks = new Set<ScopeNode>();
  /** The waits for detached jobs that are not over. */
  readonly #waits = new Set<Promise<unknown>>();
  /** Wakes the tasks that wait for a detached job of this process. */
  readonly #attached = new Map<string, Set<() => void>>();
  #isClosed = false;

  constructor(settings: RemoteSettings) {
    this.#settings = settings;
    settings.owner.onHint = (hint) => {
      for (const wake of this.#attached.get(jobKey(hint)) ?? []) wake();
    };
  }

  spawn<In, Out>(scope: Scope, job: Job<In, Out>, data: In, options: RemoteTaskOptions = {}): Task<Out> {
    const parent = nodeOf("remote.spawn", "scope", scope);
    requireJob("remote.spawn", job);
    checkRemoteTaskOptions(options);
    // oxlint-disable-next-line typescript/unbound-method -- only its identity matters
    return this.#start(parent, job, data, options, callSite(EngineRemote.prototype.spawn));
  }

  #start<Out>(
    parent: ScopeNode,
    job: Job<unknown, Out>,
    data: unknown,
    options: RemoteTaskOptions,
    site: string | undefined,
  ): Task<Out> {
    const { name = job.name, timeout, deadline } = options;
    const trace = this.#trace();
    const run = async (own: Scope): Promise<Out> => {
      if (this.#isClosed) throw new ScopeClosedError("remote.spawn", own.path);
      const task = own as ScopeNode;
      this.#tasks.add(task);
      try {
        return await runRemote(this.#settings, task, job, data, draftOf(options), trace);
      } finally {
        this.#tasks.delete(task);
      }
    };
    return startTask(parent, run, { name, timeout, deadline }, site);
  }

  async detach<In, Out>(job: Job<In, Out>, data: In, options: DetachJobOptions = {}): Promise<JobRef<Out>> {
    requireJob("remote.detach", job);
    checkDetachOptions(options);
    const { queue } = job;
    const { owner, payload } = this.#settings;
    const draft = draftOf(options);
    const trace = this.#trace();
    const body = await encodePayload(`the data of ${queue}`, data, payload);
    const { delay, keep = DAY } = options;
    const submitted = this.#isClosed
      ? undefined
      : await owner.submitDetached({
          v: 1,
          queue,
          name: job.name,
          ...draft,
          body,
          replyTo: owner.topic,
          delay,
          trace,
          keep,
        });
    if (submitted === undefined) throw new ScopeClosedError("remote.detach", "remote");
    if (submitted.owner !== undefined)
      throw new RemoteRefusedError(
        `the id of remote job ${queue}/${draft.id} belongs to a job that has an owner: use another id`,
      );
    return { queue, id: draft.id };
  }

  attach<Out>(scope: Scope, ref: JobRef<Out>, options: AttachOptions<Out> = {}): Task<Out> {
    const parent = nodeOf("remote.attach", "scope", scope);
    requireRef("remote.attach", ref);
    const { onCancel = "leave", name = ref.queue, job } = options;
    if (onCancel !== "leave" && onCancel !== "cancel")
      throw wrongType("remote.attach", 'onCancel must be "leave" or "cancel"', onCancel);
    // oxlint-disable-next-line typescript/unbound-method -- as above
    const site = callSite(EngineRemote.prototype.attach);
    const worker = async (own: Scope): Promise<Out> => {
      if (this.#isClosed) throw new ScopeClosedError("remote.attach", own.path);
      const task = own as ScopeNode;
      this.#tasks.add(task);
      annotate(task, "remote", () => ({
        text: `attached to ${jobKey(ref)}`,
        data: { queue: ref.queue, id: ref.id },
      }));
      const wait = this.#await(task, { queue: ref.queue, id: ref.id }, onCancel, job);
      this.#waits.add(wait);
      try {
        return await wait;
      } finally {
        this.#waits.delete(wait);
        this.#tasks.delete(task);
      }
    };
    return startTask(parent, worker, { name }, site);
  }

  async cancel(ref: EngineRef, cause?: unknown): Promise<void> {
    requireRef("remote.cancel", ref);
    const { owner, redact } = this.#settings;
    const reason = {
      kind: "explicit" as const,
      ...(cause === undefined ? {} : { cause: encodeThrown(cause, redact) }),
    };
    while ((await owner.cancelRef(ref, reason, DAY)) === undefined) {
      if (this.#isClosed) throw new ScopeClosedError("remote.cancel", "remote");
      await pause(owner.interval / 4);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const task of this.#tasks) cancelAs(task, "closed");
    await Promise.allSettled(this.#waits);
    await this.#settings.owner.close();
  }

  /** Asks, at first often, then once a second, until the job has ended. A hint saves waiting. */
  async #await<Out>(
    task: ScopeNode,
    ref: EngineRef,
    onCancel: "leave" | "cancel",
    job: Job<unknown, Out> | undefined,
  ): Promise<Out> {
    const { owner, redact } = this.#settings;
    let pause = 20;
    let isNoted = false;
    for (;;) {
      let state: JobState | undefined;
      if (task.cancelled && onCancel === "leave") throw task.reason as Error;
      if (task.cancelled && !isNoted) {
        state = await owner.cancelRef(ref, encodeReason(task.reason as never, redact), DAY);
        isNoted = state !== undefined;
      } else {
        state = await owner.ask(ref);
      }
      if (state === undefined && this.#isClosed) throw task.reason as Error; // the connection is about to end
      if (state !== undefined && "outcome" in state) return this.#outcome(task, ref, state.outcome, job);
      if (isNoted && state !== undefined && state.at !== "running") throw task.reason as Error;
      if (state !== undefined && "at" in state && state.at === "missing")
        throw new RemoteLostError(jobKey(ref), "missing");
      await this.#attachedPause(task, ref, pause);
      pause = Math.min(pause * 2, 1_000);
    }
  }

  async #outcome<Out>(
    task: ScopeNode,
    ref: EngineRef,
    received: Extract<JobState, { outcome: unknown }>["outcome"],
    job: Job<unknown, Out> | undefined,
  ): Promise<Out> {
    const key = jobKey(ref);
    const outcome = readOutcome(received);
    if (outcome === undefined) throw unreadable(key);
    if (outcome.t === "value")
      return decodePayload(
        `the result of ${key}`,
        outcome.body,
        job?.parseResult,
        this.#settings.payload.codec,
      );
    if (outcome.t === "error") throw decodeThrown(outcome.error, outcome);
    if (outcome.t === "lost") throw new RemoteLostError(key, "worker");
    if (task.cancelled) throw task.reason as Error;
    const { cause } = outcome.reason;
    throw new RemoteLostError(key, "cancelled", cause === undefined ? {} : { cause: decodeThrown(cause) });
  }

  async #attachedPause(task: ScopeNode, ref: EngineRef, ms: number): Promise<void> {
    const key = jobKey(ref);
    let wake = (): void => {};
    const woken = new Promise<void>((resolve) => (wake = resolve));
    const listeners = this.#attached.get(key) ?? new Set();
    this.#attached.set(key, listeners.add(wake));
    const stop = after(ms, wake);
    const unhook = task.cancelled ? undefined : task.onCancel(wake);
    await woken;
    unhook?.();
    stop();
    listeners.delete(wake);
    if (listeners.size === 0) this.#attached.delete(key);
  }

  #trace(): Record<string, string> | undefined {
    const { trace } = this.#settings;
    if (trace === undefined) return undefined;
    const carrier: Record<string, string> = {};
    trace.inject(carrier);
    return Object.keys(carrier).length === 0 ? undefined : carrier;
  }
}

function draftOf(options: RemoteTaskOptions | DetachJobOptions): Draft {
  const { id, onWorkerLost = "retry", lostRetries = 3, attempts = 1, priority } = options;
  return {
    id: id ?? crypto.randomUUID(),
    onWorkerLost,
    lostRetries: onWorkerLost === "fail" ? 0 : lostRetries,
    attempts,
    backoff: toBackoff(options.backoff),
    priority,
    ...(id === undefined ? {} : { chosen: true as const }),
  };
}
