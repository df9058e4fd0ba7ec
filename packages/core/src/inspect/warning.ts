import type { NodeInfo } from "./describe-node.js";
import type { NodeGroup } from "./groups.js";
import type { Look } from "./look.js";

/**
 * What a warning says:
 *
 * - `stuck`: a scope was cancelled and does not end
 * - `overdue`: a scope is past its deadline and does not end
 * - `deaf`: a task would not notice that it is cancelled
 * - `unclosed`: many handles with nothing in them, which nobody closes
 * - `blocked`: the event loop does not turn
 * - `queue`: more and more tasks wait for a slot of a scope's `concurrency`
 * - `deadlock`: tasks wait for each other's permits
 * - `failures`: a worker fails again and again, or tasks of a supervising scope do
 * - `growth`: tasks that were started at one place become more and more
 */
export type WarningCode =
  "stuck" | "overdue" | "deaf" | "unclosed" | "blocked" | "queue" | "deadlock" | "failures" | "growth";

/** Something that is most likely wrong. Plain data. */
export interface Warning {
  /** What it says. */
  readonly code: WarningCode;
  /** One line, for people. */
  readonly title: string;
  /** What to look at: places, times, who cancelled. Lines. */
  readonly detail: readonly string[];
  /** The `id`s of the scopes that it is about. */
  readonly nodes: readonly number[];
}

/** From when on something is worth a warning. */
export interface Thresholds {
  /** How long after its cancellation, or after its deadline, a scope may take to end, in ms, if it has no `grace`. */
  readonly stuck: number;
  /** How old a task is that should have looked whether it is cancelled, in ms. */
  readonly deaf: number;
  /** How old an unused handle is, in ms. */
  readonly unclosed: number;
  /** How late the event loop may be, in ms. */
  readonly blocked: number;
}

/** What is kept of a look: how many there were of what may grow. */
export interface Summary {
  /** The queued children of each scope, by its `id`. */
  readonly queued: ReadonlyMap<number, number>;
  /** What was started at one place, by the key of the group. */
  readonly groups: ReadonlyMap<string, NodeGroup>;
}

/** What one rule looks at. */
export interface History {
  readonly look: Look;
  /** Of the last looks, the newest first: that of `look`. */
  readonly summaries: readonly [Summary, ...Summary[]];
  readonly byId: ReadonlyMap<number, NodeInfo>;
  readonly childrenOf: ReadonlyMap<number, readonly NodeInfo[]>;
  readonly thresholds: Thresholds;
}
