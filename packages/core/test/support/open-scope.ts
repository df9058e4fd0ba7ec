import { onTestFinished } from "vitest";
import { createScope, type ScopeHandle, type ScopeOptions } from "../../src/index.js";

/** Creates a root that the end of the test cancels. Its failures are ignored. */
export function openScope(name: string, options: ScopeOptions = {}): ScopeHandle {
  const scope = createScope({ name, onOrphan: "ignore", onError: () => {}, ...options });
  onTestFinished(() => void scope.cancel());
  return scope;
}
