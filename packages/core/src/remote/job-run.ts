import { annotate } from "../adapter/annotate.js";
import { onCheck } from "../adapter/on-check.js";
import { isCancelled } from "../errors/cancelled.js";
import { throwFailure } from "../kernel/lifecycle.js";
import type { ContextKey } from "../kernel/context-key.js";
import type { ScopeNode } from "../kernel/node.js";
import type { Scope } from "../kernel/scope.js";
import { withScope } from "../task/with-scope.js";
import type { Delivery, Envelope, Outcome, Settlement } from "./engine.js";
import { RemoteRefusedError } from "./errors.js";
import type { AnyImplementation, JobInfo } from "./job.js";
import { decodePayload, encodePayload, withoutProto, type PayloadOptions } from "./payload.js";
import type { TracePropagator } from "./remote-options.js";
import type { RunningJob } from "./running-job.js";
import { encodeReason, encodeThrown, type Redact } from "./wire.js";

/** The state that all jobs of a service share. */
export interface ServiceSettings {
  readonly payload: PayloadOptions;
  readonly contexts: readonly ContextKey<unknown>[];
  readonly trace: TracePropagator | undefined;
  readonly redact: Redact | undefined;
  readonly grace: number | undefined;
  readonly worker: string;
}

/** How long to delay a job with a newer envelope, in ms. */
const NEWER_VERSION_DELAY = 1_000;

/** Why a job is not started; `undefined` if it may be. */
export function refusalOf({ envelope, lostBefore }: Delivery): Settlement | undefined {
  if (!Number.isInteger(envelope.v) || envelope.v < 1 || typeof envelope.name !== "string")
    return { outcome: { t: "error", error: encodeThrown(notSubmittedByBough(envelope), undefined) } };
  if ((envelope.v as number) !== 1) return { release: true, delay: NEWER_VERSION_DELAY };
  const isOver = envelope.onWorkerLost === "fail" ? lostBefore > 0 : lostBefore > envelope.lostRetries;
  return isOver ? { outcome: { t: "lost", why: "worker" } } : undefined;
}

function notSubmittedByBough({ queue }: Envelope): RemoteRefusedError {
  return new RemoteRefusedError(
    `a job in the queue ${queue} was not submitted by bough: use remote.spawn or remote.detach`,
  );
}

/** Decides how to settle a job that was stopped before its start. */
export function settleUnstarted(running: RunningJob): Settlement {
  const { stopped } = running;
  if (stopped?.by === "note") return { outcome: { t: "cancelled", reason: stopped.reason } };
  if (stopped?.by === "owner") return { outcome: { t: "cancelled", reason: { kind: "disconnected" } } };
  return { release: true, delay: stopped?.by === "lost" ? running.releaseDelay : undefined };
}

/**
 * Calls the worker function of a job, in a scope below that of the service, and waits for everything in it.
 *
 * @param timeout - The remaining ms until the job's deadline.
 */
export async function runJob(
  service: Scope,
  implementation: AnyImplementation,
  running: RunningJob,
  timeout: number | undefined,
  settings: ServiceSettings,
): Promise<Settlement> {
  const { envelope, attempt } = running.delivery;
  let scope: Scope | undefined;
  try {
    const { grace } = settings;
    const value = await withScope(service, { name: envelope.name, timeout, grace }, (own) => {
      scope = own;
      return withTrace(settings.trace, envelope, () => call(own, implementation, running, settings));
    });
    const body = await encodePayload(`the result of ${envelope.queue}`, value, settings.payload);
    return { outcome: { t: "value", body, worker: settings.worker, attempt } };
  } catch (error) {
    return settleFailed(error, scope, running, settings);
  }
}

async function call(
  own: Scope,
  { job, worker }: AnyImplementation,
  running: RunningJob,
  settings: ServiceSettings,
): Promise<unknown> {
  const { envelope, attempt } = running.delivery;
  running.setScope(own);
  onCheck(own, () => running.stopIfDue());
  annotate(own, "remote", () => ({
    text: envelope.owner === undefined ? "detached" : `for ${envelope.path ?? envelope.owner}`,
    data: { id: envelope.id, attempt, owner: envelope.owner, path: envelope.path },
  }));
  const values = envelope.context ?? {};
  for (const key of settings.contexts)
    if (Object.hasOwn(values, key.name)) own.set(key, withoutProto(values[key.name]));
  let data: unknown;
  try {
    data = await decodePayload(
      `the data of ${envelope.queue}`,
      envelope.body,
      job.parse,
      settings.payload.codec,
    );
  } catch (error) {
    return throwFailure(own as ScopeNode, error);
  }
  running.stopIfDue();
  own.throwIfCancelled(); // the process may have been stopped since the engine was asked
  const info: JobInfo = {
    id: envelope.id,
    name: envelope.name,
    attempt,
    fence: attempt,
    owner: envelope.owner,
    path: envelope.path,
  };
  return worker(own, data as never, info);
}

function withTrace<T>(trace: TracePropagator | undefined, { trace: carrier }: Envelope, run: () => T): T {
  return trace === undefined || carrier === undefined ? run() : trace.extract(carrier, run);
}

/** Settles a job that has thrown: it was cancelled, or has failed. */
function settleFailed(
  error: unknown,
  scope: Scope | undefined,
  running: RunningJob,
  { redact, worker }: ServiceSettings,
): Settlement {
  const { delivery, stopped } = running;
  const reason = scope?.reason;
  if (reason !== undefined && error === reason) {
    if (stopped !== undefined) return settleUnstarted(running);
    if (reason.kind === "deadline")
      return { outcome: { t: "cancelled", reason: encodeReason(reason, redact) } };
    return { release: true }; // the service is being stopped
  }
  if (scope === undefined) {
    const isLate = isCancelled(error) && error.kind === "deadline";
    return isLate ? { outcome: { t: "cancelled", reason: { kind: "deadline" } } } : { release: true }; // the service has ended
  }
  if (stopped?.by === "lost") return settleUnstarted(running);
  const outcome: Outcome = {
    t: "error",
    error: encodeThrown(error, redact),
    worker,
    attempt: delivery.attempt,
  };
  const isFinal =
    stopped !== undefined ||
    error instanceof RemoteRefusedError ||
    delivery.failedBefore + 1 >= delivery.envelope.attempts;
  return isFinal ? { outcome } : { retry: outcome };
}
