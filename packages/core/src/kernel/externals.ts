import { integrations } from "./integrations.js";
import type { ScopeNode, Settings } from "./node.js";
import { report } from "./outcome.js";

/**
 * Releases what a closed node holds outside the tree. A foreign signal and replaced timers may throw; that must not keep
 * the scope from settling.
 */
export function releaseExternals(node: ScopeNode, settings: Settings): void {
  const { deadlineTimer, graceTimer, follower } = settings;
  settings.deadlineTimer = settings.graceTimer = settings.follower = undefined;
  settings.annotators = undefined;
  integrations.removeCheck?.(settings);
  try {
    deadlineTimer?.clear();
    graceTimer?.clear();
  } catch (error) {
    report(node, error, node);
  }
  try {
    follower?.remove(node);
  } catch (error) {
    report(node, error, node);
  }
}
