import type { ScopeNode } from "./node.js";

/**
 * Channels and semaphores ask these rules before they give a value or a permit to a daemon; see `draining-rules.ts`.
 */
export interface DrainingRules {
  isForRunningWork(node: ScopeNode | undefined): boolean;
  isReceiveDenied(node: ScopeNode | undefined): boolean;
  recordReceivedValue(node: ScopeNode | undefined): void;
  isPermitDenied(node: ScopeNode): boolean;
  recordAcquiredPermit(node: ScopeNode): void;
}

export const draining: {
  /** Set once this process has a scope that may drain: otherwise nothing is checked, and a bundle has no rules. */
  rules: DrainingRules | undefined;
  /** Whether a scope has begun to drain. */
  hasBegun: boolean;
} = { rules: undefined, hasBegun: false };
