import { createScope, sleep, withScope, type Scope } from "bough";
import { expect, it } from "vitest";
import { explain } from "./outcome.js";

const caught = async (scope: Scope, call: Promise<unknown>): Promise<string> =>
  explain(await call.catch((error: unknown) => error), scope);

it("tells a failure from the timeout of one call and from the cancellation of the scope", async () => {
  const scope = createScope();
  const slow = withScope(scope, { timeout: 0 }, (own) => sleep(own, 60_000));
  expect(await caught(scope, slow)).toBe("the call took too long");
  expect(await caught(scope, Promise.reject(new Error("no route")))).toBe("failed");
  const cancelled = withScope(scope, async (own) => {
    own.cancel();
    await sleep(own, 1);
  });
  expect(await caught(scope, cancelled)).toBe("the call was cancelled");
  const waiting = sleep(scope, 60_000);
  scope.cancel("maintenance");
  expect(await caught(scope, waiting)).toBe("the scope was cancelled: see error.cause");
});

it("says why the scope itself was cancelled", async () => {
  const late = createScope({ timeout: 0 });
  expect(await caught(late, sleep(late, 1))).toBe("the scope timed out");
  let told: Promise<string> | undefined;
  const body = withScope(async (scope) => {
    told = caught(scope, sleep(scope, 60_000));
    throw new Error("no route");
  });
  await expect(body).rejects.toThrow("no route");
  expect(await told).toBe("another task of the scope failed: see error.cause");
});
