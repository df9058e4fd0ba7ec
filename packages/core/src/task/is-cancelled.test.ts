import { describe, expect, it } from "vitest";
import { rejection, thrown } from "../../test/support/deferred.js";
import { untilCancelled } from "../../test/support/until-cancelled.js";
import { createScope, isCancelled, shield, spawn, withScope } from "../index.js";

describe("isCancelled() with a scope", () => {
  it("is true for the reason of that scope, whether itself, an ancestor or its own deadline was cancelled", async () => {
    const root = createScope();
    const child = createScope(root);
    const task = spawn(child, (own) => untilCancelled(own));
    const own = createScope({ timeout: 0 });
    root.cancel();
    const error = await rejection(task);
    for (const scope of [root, child]) expect(isCancelled(error, scope)).toBe(true);
    expect(isCancelled(own.reason, own)).toBe(true);
    expect(isCancelled(error, own)).toBe(false);
    await root.close();
  });

  it("is true in the worker that is cancelled", async () => {
    const scope = createScope();
    let seen: boolean | undefined;
    spawn(scope, async (own) => {
      await untilCancelled(own).catch((error: unknown) => (seen = isCancelled(error, own)));
    });
    scope.cancel();
    await scope.close();
    expect(seen).toBe(true);
  });

  it("is false for the timeout of a call inside it", async () => {
    await withScope(async (scope) => {
      const error = await rejection(withScope(scope, { timeout: 0 }, () => "never"));
      expect(isCancelled(error)).toBe(true);
      expect(isCancelled(error, scope)).toBe(false);
    });
  });

  it("is false for a task inside the scope that was cancelled alone", async () => {
    await withScope({ supervise: true }, async (scope) => {
      const task = spawn(scope, (own) => untilCancelled(own));
      task.cancel();
      const elsewhere = createScope();
      elsewhere.cancel();
      for (const error of [await rejection(task), elsewhere.reason])
        expect([isCancelled(error), isCancelled(error, scope)]).toEqual([true, false]);
    });
  });

  it("is false for a call's own timeout when the scope was cancelled, too, and in a shield for the scope outside", async () => {
    const scope = createScope();
    const inner = await rejection(withScope(scope, { timeout: 0 }, () => "never"));
    await shield(scope, { timeout: 1_000 }, (own) => {
      scope.cancel();
      expect(isCancelled(inner, scope)).toBe(false);
      expect([isCancelled(scope.reason, scope), isCancelled(scope.reason, own)]).toEqual([true, false]);
    });
    await scope.close();
  });

  it("is false in a scope that is not cancelled, for every value", () => {
    const scope = createScope();
    for (const error of [undefined, null, "text", new Error("plain"), new DOMException("a", "AbortError")])
      expect(isCancelled(error, scope)).toBe(false);
  });

  it("is false for an error that only has the reason as its cause, because it is not a CancelledError", () => {
    const scope = createScope();
    scope.cancel();
    expect(isCancelled(new Error("wrapped", { cause: scope.reason }), scope)).toBe(false);
  });

  it.each([null, 1, "scope", {}, [], new AbortController().signal])(
    "throws a TypeError for %o, which is not a scope",
    (scope) => {
      const error = thrown(() => isCancelled(new Error("any"), scope as never));
      expect(error).toBeInstanceOf(TypeError);
      expect(String(error)).toContain("isCancelled: scope must be a Scope, got ");
    },
  );

  it("treats an undefined scope as no scope", () => {
    const scope = createScope();
    scope.cancel();
    expect(isCancelled(scope.reason, undefined)).toBe(true);
  });
});
