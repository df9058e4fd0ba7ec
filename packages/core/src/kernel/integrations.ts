import type { ScopeNode, Settings } from "./node.js";

/** What integrations add to scopes. Set by the first one that adds it, so that a bundle without integrations has none of it. */
export const integrations: {
  /** Calls the checks of `node` and its ancestors; see `scope-checks.ts`. `undefined` while no scope has a check. */
  runChecks: ((node: ScopeNode) => void) | undefined;
  /** Removes the check of a settled node. */
  removeCheck: ((settings: Settings) => void) | undefined;
  /** The notes on a node as one text, for reports; see `annotations.ts`. */
  annotationText: ((node: ScopeNode) => string | undefined) | undefined;
} = { runChecks: undefined, removeCheck: undefined, annotationText: undefined };
