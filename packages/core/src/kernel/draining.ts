import type { ScopeNode } from "./node.js";

/**
 * Semaphores ask these rules before they give a permit to a daemon; see `draining-rules.ts`. For channels there is
 * `flow/sync/channel-guard.ts`.
 */
export interface DrainingRules {
  isPermitDenied(node: ScopeNode): boolean;
  recordAcquiredPermit(node: ScopeNode): void;
}

export const draining: {
  /** Set once this process has a scope that may drain: otherwise nothing is checked, and a bundle has no rules. */
  rules: DrainingRules | undefined;
} = { rules: undefined };
