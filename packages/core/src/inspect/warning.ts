import type { NodeInfo } from "./describe-node.js";
import type { NodeGroup } from "./groups.js";
import type { Look } from "./look.js";

/**
 * The kind of a warning:
 *
 * - `stuck`: a scope was cancelled and does not end
 * - `overdue`: a scope is past its deadline and does not end
 * - `deaf`: a task would not notice that it is cancelled
 * - `unclosed`: many handles stay open although nothing runs in them
 * - `blocked`: the event loop does not turn
 * - `queue`: more and more tasks wait for a slot of a scope's `concurrency`
 * - `deadlock`: tasks wait for each other's permits
 * - `failures`: a worker fails again and again, or tasks of a supervising scope do
 * - `growth`: the number of tasks that were started at one place keeps growing
 */
export type WarningCode =
  "stuck" | "overdue" | "deaf" | "unclosed" | "blocked" | "queue" | "deadlock" | "failures" | "growth";

/** Something that is most likely wrong. Plain data. */
export interface Warning {
  /** The kind of the warning. */
  readonly code: WarningCode;
  /** One line, for people. */
  readonly title: string;
  /** Lines that help to find the cause: places, times, the caller of `cancel`. */
  readonly detail: readonly string[];
  /** The `id`s of the scopes concerned. */
  readonly nodes: readonly number[];
}

/** The thresholds of the warnings. */
export interface Thresholds {
  /** How long after its cancellation, or after its deadline, a scope may take to end, in ms, if it has no `grace`. */
  readonly stuck: number;
  /** The age at which a task should have checked for a cancellation, in ms. */
  readonly deaf: number;
  /** The age at which an unused handle is reported, in ms. */
  readonly unclosed: number;
  /** How late the event loop may be, in ms. */
  readonly blocked: number;
}

/** The counts that are kept of a look, to find growth. */
export interface Summary {
  /** The queued children of each scope, by its `id`. */
  readonly queued: ReadonlyMap<number, number>;
  /** The groups of scopes by place, by the key of the group. */
  readonly groups: ReadonlyMap<string, NodeGroup>;
}

/** The input of a rule. */
export interface History {
  readonly look: Look;
  /** The summaries of the last looks, the newest first. The first one is that of `look`. */
  readonly summaries: readonly [Summary, ...Summary[]];
  readonly byId: ReadonlyMap<number, NodeInfo>;
  readonly childrenOf: ReadonlyMap<number, readonly NodeInfo[]>;
  readonly thresholds: Thresholds;
}
