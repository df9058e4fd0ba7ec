import { describe, expect, it } from "vitest";
import { deferred, flush, rejection } from "../../../test/support/deferred.js";
import { all, createScope, suppressed, withScope, type CancelledError } from "../../index.js";

describe("all()", () => {
  it("rule 22: resolves with the values in the order of the workers", async () => {
    const slow = deferred<string>();
    const values = withScope((scope) => all(scope, [() => slow.promise, () => 2, async () => undefined]));
    await flush();
    slow.resolve("slow");
    expect(await values).toEqual(["slow", 2, undefined]);
  });

  it("resolves with an empty array for no workers", async () => {
    expect(await withScope((scope) => all(scope, []))).toEqual([]);
  });

  it("cancels the others with kind failure as soon as a worker throws, not when it has cleaned up", async () => {
    const scope = createScope();
    const failure = new Error("first");
    const cleaned = deferred();
    let reason: CancelledError | undefined;
    const result = all(scope, [
      (own) => {
        own.onCancel((why) => (reason = why));
        return new Promise<void>((resolve) => own.onCancel(() => resolve()));
      },
      (own) => {
        own.defer(() => cleaned.promise);
        throw failure;
      },
    ]);
    expect(reason).toMatchObject({ kind: "failure", cause: failure });
    cleaned.resolve();
    expect(await rejection(result)).toBe(failure);
    await scope.close();
  });

  it("rule 22: starts no worker after one that fails synchronously", async () => {
    const scope = createScope();
    const failure = new Error("at once");
    let called = false;
    const result = all(scope, [
      () => {
        throw failure;
      },
      () => (called = true),
    ]);
    expect(await rejection(result)).toBe(failure);
    expect(called).toBe(false);
    await scope.close();
  });

  it("rejects with the first failure and keeps the later ones in suppressed()", async () => {
    const failures = [new Error("one"), new Error("two")];
    const error = await rejection(
      withScope((scope) =>
        all(
          scope,
          failures.map((failure) => () => Promise.reject(failure)),
        ),
      ),
    );
    expect(error).toBe(failures[0]);
    expect(suppressed(error)).toEqual([failures[1]]);
  });

  it("fails with the reason of a worker that cancels itself", async () => {
    const scope = createScope();
    let reason: CancelledError | undefined;
    const result = all(scope, [
      (own) => {
        own.cancel("changed my mind");
        reason = own.reason;
        throw reason;
      },
      (own) => new Promise<void>((resolve) => own.onCancel(() => resolve())),
    ]);
    expect(await rejection(result)).toBe(reason);
    expect(scope.cancelled).toBe(false);
    await scope.close();
  });

  it("rule 15: resolves when every worker has returned a value although its scope was cancelled", async () => {
    const scope = createScope();
    const result = all(scope, [
      (own) => new Promise<string>((resolve) => own.onCancel(() => resolve("finished"))),
    ]);
    scope.cancel();
    expect(await result).toEqual(["finished"]);
  });

  it("is not limited by the concurrency of its scope, which counts tasks", async () => {
    const both = await withScope({ concurrency: 1 }, (scope) => {
      const gate = deferred();
      return all(scope, [() => gate.promise, () => gate.resolve()]);
    });
    expect(both).toEqual([undefined, undefined]);
  });
});
