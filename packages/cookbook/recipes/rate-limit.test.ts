import { createScope, withScope } from "bough";
import { withVirtualClock } from "bough/testing";
import { expect, it } from "vitest";
import { createRateLimit } from "./rate-limit.js";

it("spreads the callers evenly, and lets the first pass at once", async () => {
  const passed: number[] = [];
  await withVirtualClock((clock) =>
    withScope(clock, async (scope) => {
      const limit = createRateLimit(10, 1_000);
      const begin = performance.now();
      const caller = async (): Promise<void> => {
        await limit(scope);
        passed.push(Math.round(performance.now() - begin));
      };
      await Promise.all([caller(), caller(), caller(), caller()]);
    }),
  );
  expect(passed).toEqual([0, 100, 200, 300]);
});

it("stops waiting when the caller is cancelled", async () => {
  const limit = createRateLimit(1, 60_000);
  const scope = createScope();
  await limit(scope);
  const waiting = limit(scope);
  scope.cancel();
  await expect(waiting).rejects.toBe(scope.reason);
});
