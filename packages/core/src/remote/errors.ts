import { BoughError } from "../errors/bough-error.js";

/** The data of an error that was thrown in another process. */
export interface RemoteErrorInfo {
  /** The `name` of the error. */
  readonly name: string;
  /** Its `code`, if that was a string or a number. */
  readonly code?: string | number | undefined;
  /** The stack trace there, at most 8 kB of it. */
  readonly stack?: string | undefined;
  /** The worker process, as `host/pid`. */
  readonly worker?: string | undefined;
  /** How often the job had been started, that time included. */
  readonly attempt?: number | undefined;
}

/**
 * An error that a worker process threw. It has the `name`, the `message` and the `code` of that error, and its causes; it is
 * never an instance of that error's class. Test with `error.name` and `error.code`.
 */
export class RemoteError extends Error {
  /** The `code` of the error, if that was a string or a number. */
  readonly code: string | number | undefined;
  /** The data of the original error. */
  readonly remote: RemoteErrorInfo;
  /** The `errors` of an `AggregateError`. */
  readonly errors: readonly unknown[] | undefined;

  constructor(message: string, remote: RemoteErrorInfo, cause?: unknown, errors?: readonly unknown[]) {
    super(message, cause === undefined ? undefined : { cause });
    Object.defineProperty(this, "name", { value: remote.name, configurable: true, writable: true });
    this.code = remote.code;
    this.remote = remote;
    this.errors = errors;
  }
}

/** Why the outcome of a remote job can't be known, or does not exist. */
export type LostReason =
  /** Its worker process was lost, as often as it may be. */
  | "worker"
  /** The owner could not renew its lease, so that the workers have cancelled the job. */
  | "lease"
  /** The engine does not have the job: it lost its data, or the result was kept no longer. */
  | "missing"
  /** Another process has cancelled the job. */
  | "cancelled";

const explanations: Readonly<Record<LostReason, string>> = {
  worker: "its worker process was lost",
  lease: "its owner could not reach the engine for longer than its lease",
  missing: "the engine does not have it (any more)",
  cancelled: "another process cancelled it",
};

/** The outcome of a remote job is lost or unknown. The job is no longer running. */
export class RemoteLostError extends BoughError {
  /** Why the job was lost. */
  readonly why: LostReason;
  /** `queue/id` of the job. */
  readonly job: string;

  constructor(job: string, why: LostReason, options?: ErrorOptions) {
    super("BOUGH_REMOTE_LOST", `remote job ${job} is lost: ${explanations[why]}`, options);
    this.why = why;
    this.job = job;
  }

  static {
    this.prototype.name = "RemoteLostError";
  }
}

/** A remote job, or its result, was refused: it is too big, can't be written as JSON, or does not fit its schema. */
export class RemoteRefusedError extends BoughError {
  constructor(message: string, options?: ErrorOptions) {
    super("BOUGH_REMOTE_REFUSED", message, options);
  }

  static {
    this.prototype.name = "RemoteRefusedError";
  }
}
