import { describe, expect, it } from "vitest";
import { deferred, flush, rejection } from "../../../test/support/deferred.js";
import { untilCancelled } from "../../../test/support/until-cancelled.js";
import { any, createScope, suppressed, withScope, type Worker } from "../../index.js";

const failing =
  (error: unknown): Worker<never> =>
  () =>
    Promise.reject(error);

describe("any()", () => {
  it("ignores failures before the first success", async () => {
    const scope = createScope();
    expect(await any(scope, [failing(1), failing(2), () => flush().then(() => "winner")])).toBe("winner");
    expect(scope.errors).toEqual([]);
    await scope.close();
  });

  it("rejects with an AggregateError in the order of the workers when none succeeds", async () => {
    const [one, two] = [new Error("one"), new Error("two")];
    const late: Worker<never> = async () => {
      await flush();
      throw one;
    };
    const error = await rejection(withScope((scope) => any(scope, [late, failing(two)])));
    expect(error).toBeInstanceOf(AggregateError);
    expect((error as AggregateError).errors).toEqual([one, two]);
    expect((error as AggregateError).errors[0]).toBe(one);
  });

  it("rejects with an empty AggregateError for no workers", async () => {
    const error = await rejection(withScope((scope) => any(scope, [])));
    expect(error).toBeInstanceOf(AggregateError);
    expect((error as AggregateError).errors).toEqual([]);
  });

  it("counts a worker that cancels itself as failed", async () => {
    const error = await rejection(
      withScope((scope) =>
        any(scope, [
          (own) => {
            own.cancel("mine");
            return untilCancelled(own);
          },
        ]),
      ),
    );
    expect((error as AggregateError).errors).toMatchObject([{ cause: "mine" }]);
  });

  it("reports a failure that happened before its scope was cancelled", async () => {
    const scope = createScope();
    const failure = new Error("before");
    const result = any(scope, [untilCancelled, failing(failure), untilCancelled]);
    await flush();
    scope.cancel();
    expect(await rejection(result)).toBe(scope.reason);
    expect(suppressed(scope.reason)).toEqual([failure]);
  });

  it.each(["cancelled", "won"])("reports every failure when a cleanup fails after it is %s", async (how) => {
    const scope = createScope();
    const [failure, second] = [new Error("before"), new Error("cleanup")];
    const gate = deferred();
    const result = any(scope, [
      failing(failure),
      (own) => {
        own.defer(() => Promise.reject(second));
        return untilCancelled(own);
      },
      () => gate.promise,
    ]);
    await flush();
    if (how === "cancelled") scope.cancel();
    gate.resolve();
    expect(await rejection(result)).toBe(second);
    expect(suppressed(second)).toEqual([failure]);
    await scope.close();
  });
});
