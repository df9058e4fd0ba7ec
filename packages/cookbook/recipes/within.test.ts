import { createScope, withScope } from "bough";
import { expect, it } from "vitest";
import { within } from "./within.js";

it("gives the value of a promise that takes no signal, or undefined when it takes too long", async () => {
  await withScope(async (scope) => {
    expect(await within(scope, Promise.resolve("value"), 1_000)).toBe("value");
    expect(await within(scope, new Promise(() => {}), 1)).toBeUndefined();
    const failure = new Error("no route");
    await expect(within(scope, Promise.reject(failure), 1_000)).rejects.toBe(failure);
  });
});

it("stops waiting when the scope is cancelled", async () => {
  const scope = createScope();
  const waiting = within(scope, new Promise(() => {}), 60_000);
  scope.cancel();
  await expect(waiting).rejects.toBe(scope.reason);
});

it("does not report a promise that rejects after the wait has ended", async () => {
  await withScope(async (scope) => {
    let reject: (error: Error) => void = () => {};
    const late = new Promise((_, fail) => (reject = fail));
    expect(await within(scope, late, 1)).toBeUndefined();
    reject(new Error("too late")); // vitest fails the run for an unhandled rejection
    await new Promise((resolve) => setTimeout(resolve, 1));
  });
});
