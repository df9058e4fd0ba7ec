import type { Look, NodeInfo, TreeSource } from "../inspect/index.js";
import type { Activity } from "./activity.js";

/** A look without its scopes. */
export interface LookSummary extends Omit<Look, "nodes"> {
  /** How long the look has blocked the process, in ms. */
  readonly spent?: number;
}

/** The source of a page's data. */
export interface PageSource extends TreeSource {
  /**
   * Passes the scopes of a look to `visit` in slices, parents first. No array holds all of them at the same time, since
   * the garbage collector would have to copy it.
   */
  read?(visit: (nodes: readonly NodeInfo[]) => void): Promise<LookSummary>;
  /** The activity of the process since a page was opened, if the source records it. */
  readonly activity?: Activity;
  /** Called when the first page is opened. */
  onFirstPage?(): void;
  /** Called when the last page has been closed. */
  onLastPageClosed?(): void;
}
