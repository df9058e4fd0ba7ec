import type { Scope } from "../../src/index.js";

/** Waits for the cancellation of `scope`, and rejects with its reason. */
export function untilCancelled(scope: Scope): Promise<never> {
  return new Promise((_, reject) => {
    scope.onCancel(reject);
  });
}
