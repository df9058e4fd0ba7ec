import type { ScopeNode, Settings } from "./node.js";
import { CANCELLED, CLOSED, SHIELD } from "./state.js";

/** The number of live nodes with a check. Most programs have none, and pay one comparison. */
let checks = 0;

/** Sets or removes the check that {@link runChecks} calls for `node` and its descendants. */
export function setCheck(node: ScopeNode, check: (() => void) | undefined): void {
  const settings = node.ensureSettings();
  checks += (check === undefined ? 0 : 1) - (settings.check === undefined ? 0 : 1);
  settings.check = check;
}

/** Calls the checks of `node` and its ancestors. Each check may cancel its node. */
export function runChecks(node: ScopeNode): void {
  if (checks === 0) return;
  for (let at: ScopeNode | undefined = node; at !== undefined; at = at.parent) {
    if ((at.flags & (CANCELLED | CLOSED)) === 0) at.extras?.settings?.check?.();
    if ((at.flags & SHIELD) !== 0) return; // a cancellation above it does not reach the node
  }
}

/** Removes the data of integrations from a settled node. */
export function releaseIntegrations(settings: Settings): void {
  if (settings.check !== undefined) checks -= 1;
  settings.check = undefined;
  settings.annotators = undefined;
}
