import type { Envelope, JobState, Outcome } from "./engine.js";
import { withResolvers } from "../kernel/observer.js";

/** The state of a remote job, as far as its owner knows. */
export type JobPlace = "waiting" | "submitting" | "queued" | "running" | "cancelling";

/** How a job ended for its owner. */
export type JobEnd =
  | { readonly outcome: Outcome }
  /** It was cancelled, and never starts, or never starts again. */
  | { readonly never: true }
  | { readonly lost: "lease" | "missing" }
  /** The id belongs to the job of another owner. */
  | { readonly refused: true };

/** The known facts about a job when its state was asked for. */
interface Known {
  /** It was durable in the engine. */
  readonly durable: boolean;
  /** The note that it is cancelled was durable. */
  readonly noted: boolean;
}

function describeSubmitError(lastError: unknown): string {
  return lastError instanceof Error ? ` again, since ${lastError.message.slice(0, 200)}` : "";
}

/**
 * A job that an owner waits for.
 *
 * ```text
 *   submitting ──► queued ──► running ──► ended
 *        │            │          │          ▲
 *        └────────────┴──────────┴──► cancelling
 * ```
 */
export class PendingJob {
  readonly envelope: Envelope;
  at: JobPlace = "submitting";
  worker: string | undefined = undefined;
  attempt: number | undefined = undefined;
  /** A submit has been sent. */
  isSent = false;
  isDurable = false;
  isCancelled = false;
  /** The note that it is cancelled is durable. */
  isNoted = false;
  isEnded = false;
  /** The error of the last submit. */
  submitError: unknown = undefined;
  /** Settles when no call of `submit` is pending. */
  submitting: Promise<void> = Promise.resolve();
  readonly #end = withResolvers<JobEnd>();

  constructor(envelope: Envelope) {
    this.envelope = envelope;
  }

  get ended(): Promise<JobEnd> {
    return this.#end.promise;
  }

  get known(): Known {
    return { durable: this.isDurable, noted: this.isNoted };
  }

  end(end: JobEnd): void {
    if (this.isEnded) return;
    this.isEnded = true;
    this.#end.resolve(end);
  }

  /**
   * Updates the state from an answer of the engine.
   *
   * @param known - The facts that were known when the engine was asked.
   */
  update(state: JobState, known: Known): void {
    if ("outcome" in state) return this.end({ outcome: state.outcome });
    if (state.at === "running") {
      if (!this.isCancelled) this.at = "running";
      this.worker = state.worker ?? this.worker;
      this.attempt = state.attempt ?? this.attempt;
    } else if (known.noted) {
      this.end({ never: true });
    } else if (state.at === "idle") {
      if (!this.isCancelled) this.at = "queued";
    } else if (known.durable) {
      this.end({ lost: "missing" });
    }
  }

  /** For snapshots and reports. */
  describe(): { readonly text: string; readonly data: object } {
    const { queue, id } = this.envelope;
    const { at, worker, attempt } = this;
    const where = worker ?? "its worker";
    const texts: Readonly<Record<JobPlace, string>> = {
      waiting: `waits to be submitted to ${queue}`,
      submitting: `being submitted to ${queue}${describeSubmitError(this.submitError)}`,
      queued: `queued in ${queue}`,
      running: `waiting for ${where}`,
      cancelling: `cancelling, waiting for ${where}`,
    };
    return {
      text: texts[at],
      data: {
        queue,
        id,
        at,
        ...(worker === undefined ? {} : { worker }),
        ...(attempt === undefined ? {} : { attempt }),
      },
    };
  }
}
