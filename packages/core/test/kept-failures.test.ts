import { EventEmitter } from "node:events";
import { PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import { createScope, retry, sleep, stream, supervise, withScope, type Scope } from "../src/index.js";
import { events, iterate } from "../src/streams/index.js";
import { deferred, flush, rejection } from "./support/deferred.js";

// A failure that is kept back and rethrown after its scope was cancelled stays a failure, whatever its name is.

/** The cancellation of a scope that has nothing to do with the test's. */
function foreignReason(): unknown {
  const other = createScope({ name: "other" });
  other.cancel();
  return other.reason;
}

const failures: Readonly<Record<string, () => unknown>> = {
  "an AbortError": () => new DOMException("aborted", "AbortError"),
  "the abort of a client": () => Object.assign(new Error("canceled"), { code: "ERR_CANCELED" }),
  "the cancellation of another scope": foreignReason,
  "an error of any other name": () => new Error("plain"),
};

describe.each(Object.entries(failures))("%s that was not received", (_, make) => {
  it("rule 11: goes to the scope when a stream's worker has failed with it", async () => {
    const error = make();
    const outcome = withScope(async (scope) => {
      const results = stream(scope, [1, 2], (n) => (n === 1 ? 1 : Promise.reject(error)), { concurrency: 2 });
      await results.next();
      await flush();
    });
    expect(await rejection(outcome)).toBe(error);
  });

  it("rule 11: goes to the scope when the scope was cancelled while a failed stream was ending", async () => {
    const error = make();
    const windingUp = deferred();
    const outcome = withScope(async (scope) => {
      const results = stream(
        scope,
        [1, 2],
        async (n, own) => {
          if (n === 1) return 1;
          own.defer(() => windingUp.promise);
          throw error;
        },
        { concurrency: 2 },
      );
      await results.next();
      await flush();
      scope.cancel();
      windingUp.resolve();
    });
    expect(await rejection(outcome)).toBe(error);
  });

  it("rule 11: goes to the scope when the source of a stream has failed with it", async () => {
    const error = make();
    async function* source(): AsyncGenerator<number> {
      yield 1;
      throw error;
    }
    const outcome = withScope(async (scope) => {
      const results = stream(scope, source(), (n) => n, { concurrency: 2 });
      await results.next();
      await flush();
    });
    expect(await rejection(outcome)).toBe(error);
  });

  it("rule 11: goes to the scope when a Web stream has failed with it between two reads", async () => {
    const error = make();
    let controller!: ReadableStreamDefaultController<number>;
    const source = new ReadableStream<number>({ start: (its) => void (controller = its) });
    const outcome = withScope(async (scope) => {
      const items = iterate(scope, source);
      controller.enqueue(1);
      await items.next();
      controller.error(error);
      await flush();
    });
    expect(await rejection(outcome)).toBe(error);
  });

  it("rule 11: goes to the scope when a Node stream has failed with it between two reads", async () => {
    const error = make();
    const source = new PassThrough({ objectMode: true });
    const outcome = withScope(async (scope) => {
      const items = iterate(scope, source as AsyncIterable<number>);
      source.write(1);
      await items.next();
      source.destroy(error as Error);
      await flush();
    });
    expect(await rejection(outcome)).toBe(error);
  });

  it("rule 11: goes to the consumer who leaves an iteration when a Node stream has failed with it", async () => {
    const error = make();
    const source = new PassThrough({ objectMode: true });
    await withScope(async (scope) => {
      const items = iterate(scope, source as AsyncIterable<number>);
      source.write(1);
      await items.next();
      source.destroy(error as Error);
      await flush();
      expect(await rejection(items.return?.() as Promise<unknown>)).toBe(error);
    });
  });

  it("rule 11: goes to the scope when an emitter has emitted it", async () => {
    const error = make();
    const emitter = new EventEmitter();
    const outcome = withScope(async (scope) => {
      events(scope, emitter, "data");
      emitter.emit("error", error);
      await flush();
    });
    expect(await rejection(outcome)).toBe(error);
  });

  it("rule 11: goes to the supervised task when a cancellation overtakes its restart", async () => {
    const error = make();
    const windingUp = deferred();
    const scope = createScope();
    const task = supervise(scope, async (own) => {
      own.defer(() => windingUp.promise);
      throw error;
    });
    await flush();
    scope.cancel();
    windingUp.resolve();
    expect(await rejection(scope.close())).toBe(error);
    expect(task.status).toBe("failed");
  });

  it("rule 11: goes to the supervised task when onRestart passes it on and cancels", async () => {
    const error = make();
    const scope = createScope();
    supervise(scope, () => Promise.reject(error), {
      onRestart: (failure) => {
        scope.cancel();
        throw failure;
      },
    });
    expect(await rejection(scope.join())).toBe(error);
  });

  it("rule 11: goes to the caller of retry when a cancellation overtakes the next attempt", async () => {
    const error = make();
    const windingUp = deferred();
    const scope = createScope();
    const retried = retry(scope, async (own: Scope) => {
      own.defer(() => windingUp.promise);
      throw error;
    });
    retried.catch(() => undefined);
    await flush();
    scope.cancel();
    windingUp.resolve();
    expect(await rejection(retried)).toBe(error);
    await scope.close();
  });

  it("rule 11: goes to the caller of retry when retryIf cancels and returns false", async () => {
    const error = make();
    const scope = createScope();
    const retried = retry(scope, () => Promise.reject(error), { retryIf: () => !scope.cancel() });
    expect(await rejection(retried)).toBe(error);
    await scope.close();
  });
});

describe("rejections that are not failures", () => {
  it("rule 22: a source that cancels its own scope, in a stream that is no longer read, reports nothing", async () => {
    await withScope(async (scope) => {
      const results = stream(
        scope,
        function* (own: Scope) {
          yield 1;
          own.cancel();
          yield 2;
        },
        (n) => n,
        { concurrency: 2 },
      );
      await results.next();
      await flush();
    });
  });

  it("rule 12: a Node stream that fails because its scope was cancelled is the cancellation", async () => {
    const scope = createScope();
    const source = new PassThrough({ objectMode: true, signal: scope.signal });
    const items = iterate(scope, source as AsyncIterable<number>);
    const pending = items.next();
    await flush();
    scope.cancel();
    expect(await rejection(pending)).toBe(scope.reason);
    await scope.close();
    expect(scope.errors).toEqual([]);
  });

  it("rule 22: retryIf that throws the reason ends the retrying as cancelled", async () => {
    const scope = createScope();
    const retried = retry(scope, () => Promise.reject(new Error("attempt")), {
      retryIf: () => {
        scope.cancel();
        scope.throwIfCancelled();
        return true;
      },
    });
    expect(await rejection(retried)).toBe(scope.reason);
    await scope.close();
    expect(scope.errors).toEqual([]);
  });

  it("a task that sleeps is cancelled as usual", async () => {
    const scope = createScope();
    const task = supervise(scope, (own) => sleep(own, 60_000));
    scope.cancel();
    await scope.close();
    expect(task.status).toBe("cancelled");
  });
});
