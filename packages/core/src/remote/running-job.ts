import { cancelAs } from "../adapter/cancel-as.js";
import type { Scope } from "../kernel/scope.js";
import type { Delivery, Held, WireReason } from "./engine.js";
import { monotonicNow } from "./time.js";
import { decodeThrown, readReason } from "./wire.js";

/** Why a job was cancelled in its worker's process. */
export type Stopped =
  /** Its owner, or another process, has cancelled it. */
  | { readonly by: "note"; readonly reason: WireReason }
  /** Its owner's lease has ended. */
  | { readonly by: "owner" }
  /** This process does not hold it any more, or can't see whether it does, or whether its owner lives. */
  | { readonly by: "lost" };

/** The part of a lease that is reserved for late timers. */
const RESERVE = 1 / 20;

/**
 * A job in its worker's process: until when it may run, and why it was stopped.
 *
 * Two instants limit it: the end of the worker's lock, and the end of the owner's lease as the engine last reported it.
 * Both are on the monotonic clock of this process, counted from before the request was sent. So they are never later
 * than on the engine's clock.
 */
export class RunningJob {
  readonly delivery: Delivery;
  stopped: Stopped | undefined = undefined;
  /** The owner knows which worker runs it. */
  isAnnounced = false;
  #scope: Scope | undefined;
  #lockEnd: number;
  #ownerEnd = Infinity;

  constructor(delivery: Delivery, lock: number) {
    this.delivery = delivery;
    this.#lockEnd = delivery.since + lock * (1 - RESERVE);
  }

  /** The `monotonicNow()` at which the job must be cancelled without a further answer. */
  get mustStopAt(): number {
    return Math.min(this.#lockEnd, this.#ownerEnd);
  }

  /**
   * How long the job is kept from the queue when it goes back, in ms. If its owner's lease is about to end, the next worker
   * would give it back, too, over and over until then.
   */
  get releaseDelay(): number | undefined {
    return this.#ownerEnd <= this.#lockEnd ? (this.delivery.envelope.lease ?? 0) * RESERVE * 2 : undefined;
  }

  /**
   * Updates the limits from an answer of the engine.
   *
   * @param lock - The length of the lock if this renewed it.
   */
  update(held: Held, askedAt: number, lock: number | undefined): void {
    if (held.cancelled !== undefined) return this.stop({ by: "note", reason: held.cancelled });
    if (held.lost) return this.stop({ by: "lost" });
    if (held.ownerLeft !== undefined) {
      if (held.ownerLeft <= 0) return this.stop({ by: "owner" });
      const reserve = (this.delivery.envelope.lease ?? 0) * RESERVE;
      this.#ownerEnd = askedAt + held.ownerLeft - reserve;
    }
    if (lock !== undefined) this.#lockEnd = askedAt + lock * (1 - RESERVE);
    this.stopIfDue();
  }

  /** Cancels the job if it must not run any longer. */
  stopIfDue(): void {
    if (this.stopped === undefined && monotonicNow() >= this.mustStopAt) this.stop({ by: "lost" });
  }

  stop(stopped: Stopped): void {
    if (this.stopped !== undefined) return;
    this.stopped = stopped;
    if (this.#scope !== undefined) this.#cancel(this.#scope, stopped);
  }

  /** Sets the scope that `stop` cancels. */
  setScope(scope: Scope): void {
    this.#scope = scope;
    if (this.stopped !== undefined) this.#cancel(scope, this.stopped);
  }

  #cancel(scope: Scope, stopped: Stopped): void {
    if (stopped.by !== "note") {
      const cause =
        stopped.by === "owner"
          ? "the lease of the owner has ended"
          : "the lease could not be renewed in time";
      cancelAs(scope, "disconnected", { cause });
      return;
    }
    const { kind, path, cause } = readReason(stopped.reason);
    cancelAs(scope, kind, {
      cause: cause === undefined ? undefined : decodeThrown(cause),
      origin: path,
    });
  }
}
