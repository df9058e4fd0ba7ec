import { createScope, sleep, spawn, type Scope } from "bough";

// A fault, planted to be found with `npx bough inspect`: see live.ts.

/** Milliseconds until the export is cancelled, and that it has to stop. */
const PATIENCE = 500;
const GRACE = 1_000;

/** Starts an export that does not stop when it is cancelled, and somebody who cancels it. It ends with `scope`. */
export function plantStuckTask(scope: Scope): void {
  const answer = new Promise<void>((resolve) => scope.onCancel(() => resolve()));
  spawn(scope, async function giveUp(own) {
    const exports = createScope(scope, { name: "exports", grace: GRACE, onError: () => {} });
    spawn(exports, function exportPrices() {
      return answer; // and no look at the signal
    });
    await sleep(own, PATIENCE);
    exports.cancel("the export takes too long");
  });
}
