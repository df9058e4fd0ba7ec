import { describe, expect, it } from "vitest";
import { flush, rejection } from "../../../test/support/deferred.js";
import { untilCancelled } from "../../../test/support/until-cancelled.js";
import { allSettled, createScope, suppressed, withScope, type Scope } from "../../index.js";

describe("allSettled()", () => {
  it("resolves with the result of each worker, in order, and a failure cancels nothing", async () => {
    const failure = new Error("no");
    const results = await withScope((scope) =>
      allSettled(scope, [
        () => Promise.reject(failure),
        async (own) => {
          await flush();
          return own.cancelled;
        },
      ]),
    );
    expect(results).toEqual([
      { status: "rejected", reason: failure },
      { status: "fulfilled", value: false },
    ]);
    expect((results[0] as PromiseRejectedResult).reason).toBe(failure);
  });

  it("counts a worker that cancels itself as rejected", async () => {
    const results = await withScope((scope) =>
      allSettled(scope, [
        (own) => {
          own.cancel("mine");
          return untilCancelled(own);
        },
        () => 1,
      ]),
    );
    expect(results).toMatchObject([{ reason: { kind: "explicit", cause: "mine" } }, { value: 1 }]);
  });

  it("reports a failure that happened before its scope was cancelled", async () => {
    const scope = createScope();
    const failure = new Error("before");
    const result = allSettled(scope, [() => Promise.reject(failure), untilCancelled]);
    await flush();
    scope.cancel();
    const reason = await rejection(result);
    expect(reason).toBe(scope.reason);
    expect(suppressed(reason)).toEqual([failure]);
  });

  it("reports both failures when a cleanup fails after its scope was cancelled", async () => {
    const scope = createScope();
    const [failure, second] = [new Error("before"), new Error("cleanup")];
    const cleaning = (own: Scope): Promise<never> => {
      own.defer(() => Promise.reject(second));
      return untilCancelled(own);
    };
    const result = allSettled(scope, [() => Promise.reject(failure), cleaning]);
    await flush();
    scope.cancel();
    expect(await rejection(result)).toBe(second);
    expect(suppressed(second)).toEqual([failure]);
  });

  it("resolves with an empty array for no workers", async () => {
    expect(await withScope((scope) => allSettled(scope, []))).toEqual([]);
  });
});
