import type { NodeInfo } from "./describe-node.js";

/** How late the event loop was, in milliseconds, since the look before. */
export interface LoopDelay {
  /** The median. */
  readonly p50: number;
  /** One turn in a hundred was later. */
  readonly p99: number;
  /** The latest turn. */
  readonly max: number;
}

/** Everything that is alive in a process at one moment. Plain data. */
export interface Look {
  /** In epoch ms. */
  readonly at: number;
  /** As {@link walk} yields them: parents first. */
  readonly nodes: readonly NodeInfo[];
  /** How late the event loop was, if it was measured. */
  readonly loopDelay?: LoopDelay;
  /** The function and the line in which the event loop is blocked, if it is: `spin (app.js:12)`. */
  readonly blockedIn?: string;
}

/** Where looks come from: this process, or another process that a debugger is attached to. */
export interface TreeSource {
  /** Looks at the whole tree, without blocking its process. */
  look(): Promise<Look>;
}
