import { BoughError } from "../errors/bough-error.js";
import { formatTree, type Snapshot } from "../inspect/index.js";

/** Thrown when a virtual clock can't bring what runs under it to its end. */
export class VirtualClockError extends BoughError {
  /** Every scope and task that was alive: what `snapshot()` of `bough/inspect` returned. */
  readonly tree: Snapshot;

  constructor(code: "BOUGH_BLOCKED" | "BOUGH_ENDLESS", why: string, tree: Snapshot) {
    super(code, `withVirtualClock: ${why}. What is alive:\n${formatTree(tree)}`);
    this.tree = tree;
  }

  static {
    this.prototype.name = "VirtualClockError";
  }
}
