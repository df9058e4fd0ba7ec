import type { Look, NodeInfo, TreeSource } from "../inspect/index.js";
import type { Activity } from "./activity.js";

/** What a look tells beside the scopes. */
export interface LookHead extends Omit<Look, "nodes"> {
  /** How long the look has held up the process, in ms. */
  readonly spent?: number;
}

/** Where a page gets its looks from. */
export interface PageSource extends TreeSource {
  /**
   * Hands on the scopes of a look part by part, parents first, so that nobody has to keep all of them: what a garbage
   * collector finds alive holds the process up.
   */
  read?(visit: (nodes: readonly NodeInfo[]) => void): Promise<LookHead>;
  /** What the process has done since a page was opened, if the source can tell. */
  readonly activity?: Activity;
  /** Called when the first page is opened, or asks. */
  begin?(): void;
  /** Called when the last page has been closed. */
  rest?(): void;
}
