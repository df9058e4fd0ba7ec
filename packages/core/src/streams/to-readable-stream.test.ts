import { describe, expect, it } from "vitest";
import { flush, rejection, thrown } from "../../test/support/deferred.js";
import { createScope, withScope } from "../index.js";
import { snapshot } from "../inspect/index.js";
import { toReadableStream } from "./index.js";

const error = new Error("boom");

function source(log: string[]): AsyncGenerator<number> {
  return (async function* () {
    try {
      for (let n = 0; ; n++) {
        log.push(`made ${n}`);
        yield n;
      }
    } finally {
      log.push("closed");
    }
  })();
}

/** A source that never answers, and can't be closed. */
function stuck(): AsyncIterable<number> {
  return {
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise<never>(() => undefined),
      return: () => Promise.reject(error),
    }),
  };
}

describe("toReadableStream()", () => {
  it("yields everything, and then leaves nothing in its scope", async () => {
    await withScope(async (scope) => {
      const reader = toReadableStream(scope, [1, 2]).getReader();
      expect([await reader.read(), await reader.read(), await reader.read()]).toEqual([
        { done: false, value: 1 },
        { done: false, value: 2 },
        { done: true, value: undefined },
      ]);
      expect(snapshot(scope).counts.children).toBe(0);
    });
  });

  it("does not read ahead of its consumer", async () => {
    const log: string[] = [];
    await withScope(async (scope) => {
      const stream = toReadableStream(scope, source(log));
      await flush();
      expect(log).toEqual([]);
      const reader = stream.getReader();
      await reader.read();
      await flush();
      expect(log).toEqual(["made 0"]);
    });
    expect(log).toEqual(["made 0", "closed"]);
  });

  it("an error while the source is closed is received by the consumer that cancels during a read", async () => {
    const scope = createScope();
    const reader = toReadableStream(scope, stuck()).getReader();
    void reader.read();
    await flush();
    expect(await rejection(reader.cancel())).toBe(error);
    await scope.close();
  });

  it("rule 11: an error of closing the source goes to the scope when the stream already has its reason", async () => {
    const scope = createScope();
    const read = toReadableStream(scope, stuck()).getReader().read();
    await flush();
    const closed = rejection(scope.close());
    expect(await rejection(read)).toBe(scope.reason);
    expect(await closed).toBe(error);
  });

  it("errors with the reason when its scope is cancelled, whether it is read or not, and closes the source", async () => {
    for (const read of [true, false]) {
      const log: string[] = [];
      const scope = createScope();
      const reader = toReadableStream(scope, source(log)).getReader();
      await reader.read();
      const pending = read ? reader.read() : reader.closed;
      const rejected = rejection(pending.then(() => reader.read()));
      scope.cancel();
      await scope.close();
      expect(await rejected).toBe(scope.reason);
      expect(log.at(-1)).toBe("closed");
    }
  });

  it("closes the source before the cancel() of its consumer resolves", async () => {
    const log: string[] = [];
    await withScope(async (scope) => {
      const stream = toReadableStream(scope, source(log));
      const reader = stream.getReader();
      await reader.read();
      await reader.cancel();
      expect(log).toEqual(["made 0", "closed"]);
      expect(snapshot(scope).counts.children).toBe(0);
    });
  });

  it("errors with the source's error, the same object, which its scope does not receive", async () => {
    const value = await withScope(async (scope) => {
      const failing = (async function* () {
        yield* [];
        throw error;
      })();
      return rejection(toReadableStream(scope, failing).getReader().read());
    });
    expect(value).toBe(error);
  });

  it("errors with the reason in a scope that is cancelled already", async () => {
    const scope = createScope();
    scope.cancel();
    expect(await rejection(toReadableStream(scope, [1]).getReader().read())).toBe(scope.reason);
  });

  it("refuses a bad scope and a bad source", async () => {
    const call = toReadableStream as (...values: unknown[]) => unknown;
    await withScope(async (scope) => {
      expect(thrown(() => call({}, []))).toBeInstanceOf(TypeError);
      expect(thrown(() => call(scope, 1))).toBeInstanceOf(TypeError);
    });
  });
});
