import type { NodeInfo } from "./describe-node.js";

/** How late the event loop was since the previous look, in milliseconds. */
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
  /** The scopes, parents first, as {@link walk} yields them. */
  readonly nodes: readonly NodeInfo[];
  /** How late the event loop was, if it was measured. */
  readonly loopDelay?: LoopDelay;
  /** The function and the line in which the event loop is blocked, if it is: `spin (app.js:12)`. */
  readonly blockedIn?: string;
}

/** A source of looks: this process, or another process to which a debugger is attached. */
export interface TreeSource {
  /** Looks at the whole tree, without blocking its process. */
  look(): Promise<Look>;
}
