import type { ScopeNode, SignalFollower } from "./node.js";
import { cancel } from "./lifecycle.js";

const followers = new WeakMap<AbortSignal, Follower>();

/**
 * A listener on a foreign signal, shared by all scopes that follow the signal. Each further listener on an AbortSignal
 * is slower to add, Node 20 warns at the eleventh, and `AbortSignal.any` keeps its source signals alive. The listener
 * is removed when the last scope that follows the signal has settled.
 */
export class Follower implements SignalFollower {
  readonly #signal: AbortSignal;
  readonly #nodes = new Set<ScopeNode>();

  private constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener("abort", this.#onAbort);
    followers.set(signal, this);
  }

  /** Cancels `node` when `signal` aborts, or immediately if it has aborted. */
  static follow(node: ScopeNode, signal: AbortSignal): void {
    if (signal.aborted) {
      cancel(node, "signal", reasonOf(signal));
      return;
    }
    const follower = followers.get(signal) ?? new Follower(signal);
    follower.#nodes.add(node);
    node.ensureSettings().follower = follower;
  }

  remove(node: ScopeNode): void {
    this.#nodes.delete(node);
    if (this.#nodes.size === 0) this.#stop();
  }

  #stop(): void {
    this.#signal.removeEventListener("abort", this.#onAbort);
    followers.delete(this.#signal);
  }

  readonly #onAbort = (): void => {
    this.#stop();
    const cause = reasonOf(this.#signal);
    for (const node of this.#nodes) cancel(node, "signal", cause);
  };
}

/** The getter of a polyfill may throw; the scope is cancelled all the same. */
function reasonOf(signal: AbortSignal): unknown {
  try {
    return signal.reason;
  } catch (error) {
    return error;
  }
}
