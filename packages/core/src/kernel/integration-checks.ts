import { integrations } from "./integrations.js";
import type { ScopeNode, Settings } from "./node.js";
import { isLive, isShield } from "./state.js";

/** The number of live nodes with a check. Most programs have none, and nothing is called. */
let checks = 0;

/** Sets or removes the check of `node`, which `checkpoint` and others call for `node` and its descendants. */
export function setCheck(node: ScopeNode, check: (() => void) | undefined): void {
  const settings = node.ensureSettings();
  integrations.removeCheck = removeCheck;
  removeCheck(settings);
  if (check !== undefined) count(1);
  settings.check = check;
}

function removeCheck(settings: Settings): void {
  if (settings.check !== undefined) count(-1);
  settings.check = undefined;
}

function count(change: number): void {
  checks += change;
  integrations.runChecks = checks > 0 ? runChecks : undefined;
}

/** Each check may cancel its node. */
function runChecks(node: ScopeNode): void {
  for (let at: ScopeNode | undefined = node; at !== undefined; at = at.parent) {
    if (isLive(at)) at.extras?.settings?.check?.();
    if (isShield(at)) return; // a cancellation above it does not reach the node
  }
}
