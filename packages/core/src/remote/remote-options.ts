import { optionNames } from "../errors/option-names.js";
import {
  checkDuration,
  checkInstant,
  checkLimit,
  checkOptionsObject,
  checkType,
  outOfRange,
  requireCount,
  requireFiniteDuration,
  wrongType,
} from "../errors/validate.js";
import { ContextKey } from "../kernel/context-key.js";
import type { Backoff } from "./engine.js";
import type { Codec } from "./payload.js";
import type { Redact } from "./wire.js";

/** Carries a W3C trace context from the owner to the worker; OpenTelemetry's `propagation` fits, see the guide. */
export interface TracePropagator {
  /** Writes the context of the caller of `spawn` or `detach` into `carrier`. */
  readonly inject: (carrier: Record<string, string>) => void;
  /** Calls `run` within the context of `carrier`, and returns its result. */
  readonly extract: <T>(carrier: Readonly<Record<string, string>>, run: () => T) => T;
}

/** The options of both sides. */
export interface SharedOptions {
  /**
   * Milliseconds. For an owner: how long its jobs continue after it has died. For a worker: how long it takes after its
   * death until its jobs are started elsewhere. Default 15,000.
   */
  readonly lease?: number | undefined;
  /**
   * The keys of the context values to send. Both sides must list a key. The values must be JSON values. Default: none.
   */
  readonly contexts?: readonly ContextKey<unknown>[] | undefined;
  /** Carries the trace context. Default: none. */
  readonly trace?: TracePropagator | undefined;
  /** The greatest size of data, and of a result, in bytes. Default 1,000,000. */
  readonly maxSize?: number | undefined;
  /** Changes payloads on their way: for encryption, for example. Both sides need the same. Default: none. */
  readonly codec?: Codec | undefined;
  /** Changes each error before it leaves the process: drops stacks or secrets. Default: errors are sent unchanged. */
  readonly redact?: Redact | undefined;
  /** Receives errors of the connection that do not fail a task. Default: they are ignored. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

/** The options of {@link connectRemote}. */
export interface RemoteOptions extends SharedOptions {
  /** How many jobs may be submitted and not settled; further tasks wait in order. Default: no limit. */
  readonly maxPending?: number | undefined;
}

/** The options of `serve`. */
export interface ServeOptions extends SharedOptions {
  /** How many jobs run at once in this process, of all implementations together. Default 1. */
  readonly concurrency?: number | undefined;
  /** Milliseconds that a cancelled job gets before it is reported as stuck. Default: no limit. */
  readonly grace?: number | undefined;
  /** The name of this process, for people. Default `host/pid`. */
  readonly worker?: string | undefined;
}

/** The options of both `spawn` and `detach` of a `Remote`. */
interface JobRunOptions {
  /** The idempotency key: the engine accepts one job for it. Default: a random one. */
  readonly id?: string | undefined;
  /** What to do when the worker process is lost. `"fail"` makes the job run at most once. Default `"retry"`. */
  readonly onWorkerLost?: "retry" | "fail" | undefined;
  /** How many lost workers the job survives. Default 3. */
  readonly lostRetries?: number | undefined;
  /** How many attempts the job has, including the first. Default 1. */
  readonly attempts?: number | undefined;
  /** Milliseconds before another attempt, or more about it. Default 0. */
  readonly backoff?: number | Backoff | undefined;
  /** Jobs with a higher priority start earlier. Default 0. */
  readonly priority?: number | undefined;
}

/** The options of {@link Remote.spawn}. */
export interface RemoteTaskOptions extends JobRunOptions {
  /** The name of the task. Default: the name of the job. */
  readonly name?: string | undefined;
  /** Milliseconds from now, the time in queues included. Default: no limit. */
  readonly timeout?: number | undefined;
  /** An instant, in milliseconds since the epoch. Default: none. */
  readonly deadline?: number | Date | undefined;
}

/** The options of {@link Remote.detach}. */
export interface DetachJobOptions extends JobRunOptions {
  /** Milliseconds before the first attempt. Default 0. */
  readonly delay?: number | undefined;
  /** Milliseconds for which the result is kept. Default: one day. */
  readonly keep?: number | undefined;
}

const shared = {
  lease: true,
  contexts: true,
  trace: true,
  maxSize: true,
  codec: true,
  redact: true,
  onError: true,
} as const;
const remoteNames = optionNames<RemoteOptions>({ ...shared, maxPending: true });
const serveNames = optionNames<ServeOptions>({ ...shared, concurrency: true, grace: true, worker: true });
const run = {
  id: true,
  onWorkerLost: true,
  lostRetries: true,
  attempts: true,
  backoff: true,
  priority: true,
} as const;
const taskNames = optionNames<RemoteTaskOptions>({ ...run, name: true, timeout: true, deadline: true });
const detachNames = optionNames<DetachJobOptions>({ ...run, delay: true, keep: true });

function checkShared(operation: string, options: SharedOptions): void {
  const { lease, contexts, trace, maxSize, codec } = options;
  if (lease !== undefined) {
    requireFiniteDuration(operation, "lease", lease);
    if (lease < 100) throw outOfRange(operation, "lease must be at least 100 ms", lease);
  }
  if (contexts !== undefined && !(Array.isArray(contexts) && contexts.every((key) => ContextKey.isKey(key))))
    throw wrongType(operation, "contexts must be an array of context keys", contexts);
  const names = (contexts ?? []).map((key) => key.name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined)
    throw outOfRange(
      operation,
      "contexts must have keys of different names, since values travel by name",
      twice,
    );
  checkMethods(operation, "trace", trace, ["inject", "extract"]);
  checkMethods(operation, "codec", codec, ["encode", "decode"]);
  if (maxSize !== undefined) requireCount(operation, "maxSize", maxSize, 1);
  checkType(operation, "redact", "function", options.redact);
  checkType(operation, "onError", "function", options.onError);
}

function checkMethods(operation: string, name: string, value: unknown, methods: readonly string[]): void {
  if (value === undefined) return;
  const has = (method: string): boolean => typeof (value as Record<string, unknown>)[method] === "function";
  if (typeof value === "object" && value !== null && methods.every(has)) return;
  throw wrongType(operation, `${name} must be an object with the methods ${methods.join(" and ")}`, value);
}

export function checkRemoteOptions(options: RemoteOptions): void {
  checkOptionsObject("connectRemote", options, remoteNames, "{ lease: 15_000 }");
  checkShared("connectRemote", options);
  checkLimit("connectRemote", "maxPending", options.maxPending, 1);
}

export function checkServeOptions(options: ServeOptions): void {
  checkOptionsObject("serve", options, serveNames, "{ concurrency: 8 }");
  checkShared("serve", options);
  if (options.concurrency !== undefined) requireCount("serve", "concurrency", options.concurrency, 1);
  checkDuration("serve", "grace", options.grace);
  checkType("serve", "worker", "string", options.worker);
}

export function checkRemoteTaskOptions(options: RemoteTaskOptions): void {
  checkOptionsObject("remote.spawn", options, taskNames);
  checkRunOptions("remote.spawn", options);
  checkType("remote.spawn", "name", "string", options.name);
  checkDuration("remote.spawn", "timeout", options.timeout);
  checkInstant("remote.spawn", "deadline", options.deadline);
}

export function checkDetachOptions(options: DetachJobOptions): void {
  checkOptionsObject("remote.detach", options, detachNames, "{ delay: 1000 }");
  checkRunOptions("remote.detach", options);
  if (options.delay !== undefined) requireFiniteDuration("remote.detach", "delay", options.delay);
  if (options.keep !== undefined) requireFiniteDuration("remote.detach", "keep", options.keep);
}

function checkRunOptions(operation: string, options: JobRunOptions): void {
  const { id, onWorkerLost, lostRetries, attempts, backoff, priority } = options;
  checkType(operation, "id", "string", id);
  if (id !== undefined && !/^[\w.-]{1,200}$/.test(id))
    throw outOfRange(operation, "id must be 1 to 200 letters, digits, dots, underscores or hyphens", id);
  if (onWorkerLost !== undefined && onWorkerLost !== "retry" && onWorkerLost !== "fail")
    throw outOfRange(operation, 'onWorkerLost must be "retry" or "fail"', onWorkerLost);
  if (lostRetries !== undefined) requireCount(operation, "lostRetries", lostRetries, 0);
  if (attempts !== undefined) requireCount(operation, "attempts", attempts, 1);
  if (priority !== undefined) requireCount(operation, "priority", priority, 0);
  if (backoff === undefined) return;
  const { delay, type } = toBackoff(backoff) ?? {};
  requireFiniteDuration(operation, "backoff", delay);
  if (type !== "fixed" && type !== "exponential")
    throw outOfRange(operation, 'backoff.type must be "fixed" or "exponential"', type);
}

export function toBackoff(backoff: number | Backoff | undefined): Backoff | undefined {
  return typeof backoff === "number" ? { delay: backoff, type: "fixed" } : backoff;
}
