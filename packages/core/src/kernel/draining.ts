import type { ScopeNode } from "./node.js";

/**
 * Semaphores ask these rules before they give a permit to a daemon, and channels whether running work sends; see
 * `draining-rules.ts`. Values are given by `flow/sync/channel-guard.ts`.
 */
export interface DrainingRules {
  isForRunningWork(node: ScopeNode | undefined): boolean;
  isPermitDenied(node: ScopeNode): boolean;
  recordAcquiredPermit(node: ScopeNode): void;
}

export const draining: {
  /** Set once this process has a scope that may drain: otherwise nothing is checked, and a bundle has no rules. */
  rules: DrainingRules | undefined;
} = { rules: undefined };
