import { describe, expect, it } from "vitest";
import { flush, rejection } from "../../../test/support/deferred.js";
import { untilCancelled } from "../../../test/support/until-cancelled.js";
import { createScope, race, suppressed, withScope, type Worker } from "../../index.js";

describe("race()", () => {
  it("throws a RangeError when there are no workers", async () => {
    const error = await rejection(withScope((scope) => race(scope, [])));
    expect(error).toBeInstanceOf(RangeError);
  });

  it("rejects if the first worker to settle has failed, and cancels the others with kind closed", async () => {
    const scope = createScope();
    const failure = new Error("first");
    let kind: string | undefined;
    const result = race(scope, [
      (own) => {
        own.onCancel((reason) => (kind = reason.kind));
        return untilCancelled(own);
      },
      () => Promise.reject(failure),
    ]);
    expect(await rejection(result)).toBe(failure);
    expect(kind).toBe("closed");
    await scope.close();
  });

  it("starts no worker after one that fails synchronously", async () => {
    const failure = new Error("at once");
    let called = false;
    const fails = (): never => {
      throw failure;
    };
    expect(await rejection(withScope((scope) => race(scope, [fails, () => (called = true)])))).toBe(failure);
    expect(called).toBe(false);
  });

  it("puts the failure of a loser's cleanup after that of the first to settle", async () => {
    const failures = [new Error("first"), new Error("cleanup")];
    const error = await rejection(
      withScope((scope) =>
        race(scope, [
          async (own) => {
            await untilCancelled(own).catch(() => undefined);
            throw failures[1];
          },
          () => Promise.reject(failures[0]),
        ]),
      ),
    );
    expect(error).toBe(failures[0]);
    expect(suppressed(error)).toEqual([failures[1]]);
  });

  it("drops the value that a loser returns", async () => {
    const value = await withScope((scope) =>
      race(scope, [
        (own) => new Promise<string>((resolve) => own.onCancel(() => resolve("loser"))),
        async () => "winner",
      ]),
    );
    expect(value).toBe("winner");
  });

  it("gives all losers the same reason, with the path of the race", async () => {
    const reasons = new Set<unknown>();
    const scope = createScope({ name: "root" });
    const loser: Worker<void> = async (own) => {
      await untilCancelled(own).catch((reason: unknown) => reasons.add(reason));
    };
    await race(scope, [loser, loser, () => flush()]);
    expect([...reasons]).toMatchObject([{ kind: "closed", scope: "root/race" }]);
    await scope.close();
  });

  it("can be nested deeply: cancelling does not overflow the stack", async () => {
    const scope = createScope();
    let levels = 0;
    const nested: Worker<unknown> = (own) => {
      levels += 1;
      return levels < 1_000 ? race(own, [nested]) : untilCancelled(own);
    };
    const result = race(scope, [nested]);
    scope.cancel();
    expect(await rejection(result)).toBe(scope.reason);
    expect(levels).toBe(1_000);
  });
});
