import type { ScopeNode, Settings } from "./node.js";
import { CANCELLED, CLOSED, SHIELD } from "./state.js";

/** The number of live nodes with a check. Most programs have none, and pay one comparison. */
let checks = 0;

/** Sets or removes what {@link runChecks} calls for `node` and for everything below it. */
export function setCheck(node: ScopeNode, check: (() => void) | undefined): void {
  const settings = node.ensureSettings();
  checks += (check === undefined ? 0 : 1) - (settings.check === undefined ? 0 : 1);
  settings.check = check;
}

/** Calls the checks on the way from `node` to the root. Each cancels its node if that has to end. */
export function runChecks(node: ScopeNode): void {
  if (checks === 0) return;
  for (let at: ScopeNode | undefined = node; at !== undefined; at = at.parent) {
    if ((at.flags & (CANCELLED | CLOSED)) === 0) at.extras?.settings?.check?.();
    if ((at.flags & SHIELD) !== 0) return; // a cancellation above it does not reach the node
  }
}

/** Drops what integrations have set on a node that has settled. */
export function releaseIntegrations(settings: Settings): void {
  if (settings.check !== undefined) checks -= 1;
  settings.check = undefined;
  settings.annotators = undefined;
}
