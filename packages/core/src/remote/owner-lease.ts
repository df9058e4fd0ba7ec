import type { EngineClock } from "./engine-clock.js";
import type { JobEnd } from "./pending-job.js";

/** The part of a job that a lease uses. */
export interface LeasedJob {
  end(end: JobEnd): void;
}

/**
 * One lease of an owner process: an instant in the engine's time, up to which its jobs may run.
 *
 * ```text
 *    new ──► held ──► over
 *     │        │ the engine says that it has ended
 *     └────────┴──► refused ──► over
 * ```
 *
 * A lease that is refused or over is never renewed again. Its jobs end once it is certainly over: until then a worker
 * may run one of them.
 */
export class OwnerLease {
  readonly id: string;
  readonly jobs: Set<LeasedJob> = new Set();
  state: "new" | "held" | "refused" | "over" = "new";
  readonly #length: number;
  /** The latest instant that a renewal has requested. A renewal without an answer may have taken effect. */
  #asked = 0;
  /**
   * The requested instant without an answer. It is repeated unchanged, since "now + length" would move on each time.
   */
  #unanswered: number | undefined;

  constructor(id: string, length: number) {
    this.id = id;
    this.#length = length;
  }

  /** The end of the lease that the next renewal asks for. */
  nextEnd(clock: EngineClock): number {
    this.#unanswered ??= Math.floor(clock.now() + this.#length);
    this.#asked = Math.max(this.#asked, this.#unanswered);
    return this.#unanswered;
  }

  answered(isOwned: boolean): void {
    this.#unanswered = undefined;
    if (this.state === "over") return;
    if (!isOwned) this.state = "refused";
    else if (this.state === "new") this.state = "held";
  }

  /** The `monotonicNow()` from which on no worker runs a job of this lease. */
  certainlyOverAt(clock: EngineClock): number {
    return this.#asked === 0 ? -Infinity : clock.certainlyPast(this.#asked);
  }

  end(): void {
    this.state = "over";
    for (const job of this.jobs) job.end({ lost: "lease" });
    this.jobs.clear();
  }
}
