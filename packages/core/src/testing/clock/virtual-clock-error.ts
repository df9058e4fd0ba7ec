import { BoughError } from "../../errors/bough-error.js";
import { formatTree, type Snapshot } from "../../inspect/index.js";
import type { LeakReport } from "../leaks/report.js";

/** The problem that a {@link VirtualClockError} reports. */
export interface VirtualClockProblem {
  readonly code: "BOUGH_BLOCKED" | "BOUGH_STALLED" | "BOUGH_ENDLESS" | "BOUGH_CLOCK_ABANDONED";
  readonly why: string;
  /** The advice to the user. */
  readonly hint?: string;
  readonly tree: Snapshot;
  readonly resources?: readonly LeakReport[];
}

/** How many resources a message lists; `resources` has all. */
const LISTED = 20;

/** Thrown when a virtual clock can't bring the work under it to its end. */
export class VirtualClockError extends BoughError {
  /** Every scope and task that was alive: what `snapshot()` of `bough/inspect` returned. */
  readonly tree: Snapshot;
  /** The resources that were pending in real time: child processes, sockets, servers, timers, threads. */
  readonly resources: readonly LeakReport[];

  constructor({ code, why, hint, tree, resources = [] }: VirtualClockProblem) {
    const parts = [`withVirtualClock: ${why}.`];
    if (resources.length > 0)
      parts.push(`What is pending in real time:\n${resources.map(line).slice(0, LISTED).join("\n")}`);
    if (hint !== undefined) parts.push(hint);
    parts.push(`What is alive:\n${formatTree(tree)}`);
    super(code, parts.join(resources.length > 0 ? "\n" : " "));
    this.tree = tree;
    this.resources = resources;
  }

  static {
    this.prototype.name = "VirtualClockError";
  }
}

function line({ path, spawnedAt }: LeakReport): string {
  return `  ${path}${spawnedAt === undefined ? "" : `, created at ${spawnedAt}`}`;
}
