import { expire } from "../adapter/expire.js";
import { annotate } from "../adapter/annotate.js";
import type { CancelledError } from "../errors/cancelled.js";
import { MissingContextError } from "../errors/missing-context-error.js";
import type { ContextKey } from "../kernel/context-key.js";
import { throwFailure } from "../kernel/lifecycle.js";
import type { ScopeNode } from "../kernel/node.js";
import { calendarNow } from "../kernel/platform.js";
import type { Scope } from "../kernel/scope.js";
import type { Envelope, Outcome } from "./engine.js";
import { RemoteLostError, RemoteRefusedError } from "./errors.js";
import type { Job } from "./job.js";
import type { Owner } from "./owner.js";
import type { OwnerLease } from "./owner-lease.js";
import { decodePayload, encodePayload, type PayloadOptions } from "./payload.js";
import { PendingJob, type JobEnd, type JobPlace } from "./pending-job.js";
import type { TracePropagator } from "./remote-options.js";
import { decodeThrown, encodeReason, readOutcome, type Redact } from "./wire.js";

/** The state that all jobs of a `Remote` share. */
export interface RemoteSettings {
  readonly owner: Owner;
  readonly payload: PayloadOptions;
  readonly contexts: readonly ContextKey<unknown>[];
  readonly trace: TracePropagator | undefined;
  readonly redact: Redact | undefined;
  /** Waits for room below `maxPending`. */
  readonly takeRoom: ((scope: Scope) => Promise<Disposable>) | undefined;
}

/** The part of an envelope that the options of `spawn` decide. */
export type Draft = Pick<
  Envelope,
  "id" | "onWorkerLost" | "lostRetries" | "attempts" | "backoff" | "priority" | "chosen"
>;

/**
 * Fails the task with the error of a result. The worker's process has already decided that it is neither to be retried
 * nor a cancellation.
 */
function failTask(task: ScopeNode, error: unknown): never {
  if (task.cancelled) throwFailure(task, error);
  throw error;
}

/**
 * The worker of a task that `remote.spawn` starts: submits the job, and waits until it has ended. A cancellation of the task
 * does not end the wait: it cancels the job, and the task settles when that has stopped.
 */
export async function runRemote<Out>(
  settings: RemoteSettings,
  task: ScopeNode,
  job: Job<unknown, Out>,
  data: unknown,
  draft: Draft,
  trace: Readonly<Record<string, string>> | undefined,
): Promise<Out> {
  const { owner } = settings;
  let place: JobPlace = "waiting";
  const sent: { job?: PendingJob } = {};
  annotate(task, "remote", () => sent.job?.describe() ?? describeUnsent(job.queue, draft.id, place));
  const body = await encodePayload(`the data of ${job.queue}`, data, settings.payload);
  const context = contextOf(task, settings.contexts, job.queue);
  task.throwIfCancelled();
  using _room = await settings.takeRoom?.(task);
  place = "submitting";
  const lease = await unlessCancelled(task, owner.held());
  const keep = Math.max(60_000, 4 * owner.leaseLength);
  const { deadline } = task;
  const pending = new PendingJob({
    v: 1,
    queue: job.queue,
    name: job.name,
    ...draft,
    body,
    owner: lease.id,
    lease: owner.leaseLength,
    replyTo: owner.topic,
    deadline: deadline === undefined ? undefined : Math.round(owner.clock.now() + deadline - calendarNow()),
    path: task.path,
    context,
    trace,
    keep,
  });
  sent.job = pending;
  const end = await follow(owner, task, pending, lease, settings.redact);
  return await settle(task, job, end, `${job.queue}/${draft.id}`, settings);
}

async function follow(
  owner: Owner,
  task: ScopeNode,
  pending: PendingJob,
  lease: OwnerLease,
  redact: Redact | undefined,
): Promise<JobEnd> {
  owner.add(pending, lease);
  const stop = task.onCancel((reason) => void owner.cancel(pending, encodeReason(reason, redact)));
  void owner.submit(pending);
  try {
    return await pending.ended;
  } finally {
    stop();
  }
}

async function settle<Out>(
  task: ScopeNode,
  job: Job<unknown, Out>,
  end: JobEnd,
  key: string,
  { payload }: RemoteSettings,
): Promise<Out> {
  if ("outcome" in end) return settleOutcome(task, job, end.outcome, key, payload);
  if ("refused" in end)
    throw new RemoteRefusedError(
      `the id of remote job ${key} belongs to a job of another owner: attach to it, or use another id`,
    );
  // Cancelled, and it does not run: its outcome does not matter any more.
  if (task.cancelled) throw task.reason as CancelledError;
  throw new RemoteLostError(key, "lost" in end ? end.lost : "cancelled");
}

async function settleOutcome<Out>(
  task: ScopeNode,
  job: Job<unknown, Out>,
  received: Outcome,
  key: string,
  payload: PayloadOptions,
): Promise<Out> {
  const outcome = readOutcome(received);
  if (outcome === undefined) return failTask(task, unreadable(key));
  switch (outcome.t) {
    case "value":
      try {
        return await decodePayload(
          `the result of ${job.queue}`,
          outcome.body,
          job.parseResult,
          payload.codec,
        );
      } catch (error) {
        return failTask(task, error);
      }
    case "error":
      return failTask(task, decodeThrown(outcome.error, outcome));
    case "lost":
      if (task.cancelled) throw task.reason as CancelledError;
      throw new RemoteLostError(key, "worker");
    case "cancelled":
      if (outcome.reason.kind === "deadline" && !task.cancelled) expire(task); // the worker's clock was first
      if (task.cancelled) throw task.reason as CancelledError;
      if (outcome.reason.kind === "disconnected") throw new RemoteLostError(key, "lease");
      throw new RemoteLostError(key, "cancelled", causeOf(outcome));
  }
}

export function unreadable(key: string): RemoteRefusedError {
  return new RemoteRefusedError(
    `the outcome of remote job ${key} can't be read: a worker of bough did not write it`,
  );
}

function causeOf({ reason }: Extract<Outcome, { t: "cancelled" }>): ErrorOptions {
  return reason.cause === undefined ? {} : { cause: decodeThrown(reason.cause) };
}

/** Waits for `promise`, or for the cancellation of `task`. */
async function unlessCancelled<T>(task: ScopeNode, promise: Promise<T>): Promise<T> {
  let stop = (): boolean => false;
  const cancelled = new Promise<never>((_, reject) => {
    stop = task.onCancel(reject);
  });
  try {
    return await Promise.race([promise, cancelled]);
  } finally {
    stop();
  }
}

/** The values of the keys that are set, or have a default. */
function contextOf(
  scope: Scope,
  keys: readonly ContextKey<unknown>[],
  queue: string,
): Record<string, unknown> | undefined {
  let found: Record<string, unknown> | undefined;
  for (const key of keys) {
    try {
      const value = scope.get(key);
      if (value === undefined) continue;
      found ??= {};
      found[key.name] = JSON.parse(JSON.stringify(value)) as unknown;
    } catch (error) {
      if (error instanceof MissingContextError) continue;
      throw new RemoteRefusedError(
        `the context value ${JSON.stringify(key.name)} of ${queue} can't be written as JSON`,
        {
          cause: error,
        },
      );
    }
  }
  return found;
}

function describeUnsent(
  queue: string,
  id: string,
  at: JobPlace,
): { readonly text: string; readonly data: object } {
  return {
    text: at === "waiting" ? `waits to be submitted to ${queue}` : `being submitted to ${queue}`,
    data: { queue, id, at },
  };
}
