import type { ScopeNode, Settings } from "./node.js";

/**
 * The functions of integrations. The first integration sets them, so a bundle without integrations does not contain
 * them.
 */
export const integrations: {
  /** Calls the checks of `node` and its ancestors; see `integration-checks.ts`. `undefined` while no scope has a check. */
  runChecks: ((node: ScopeNode) => void) | undefined;
  /** Removes the check of a settled node. */
  removeCheck: ((settings: Settings) => void) | undefined;
  /** The notes on a node as one text, for reports; see `annotations.ts`. */
  annotationText: ((node: ScopeNode) => string | undefined) | undefined;
} = { runChecks: undefined, removeCheck: undefined, annotationText: undefined };
