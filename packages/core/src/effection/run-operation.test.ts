import {
  call,
  ensure,
  resource,
  sleep as effectionSleep,
  spawn as effectionSpawn,
  suspend,
  useAbortSignal,
  type Operation,
} from "effection";
import { describe, expect, it, vi } from "vitest";
import { deferred, flush, outcomeOf, rejection } from "../../test/support/deferred.js";
import { createScope, spawn, withScope } from "../index.js";
import "./index.js";

const error = new Error("boom");

describe("an Effection operation as a worker", () => {
  it("rule 8: its value is the task's", async () => {
    const scope = createScope();
    const task = spawn(scope, function* () {
      const one = yield* call(async () => 1);
      return one + 1;
    });
    expect(await task).toBe(2);
    expect(task.status).toBe("succeeded");
    expect(
      await withScope(function* () {
        return yield* call(() => "body");
      }),
    ).toBe("body");
    await scope.join();
  });

  it("rule 8: an error that it throws is the task's failure, the same object", async () => {
    for (const thrown of [error, "text"]) {
      const scope = createScope();
      const task = spawn(scope, function* () {
        yield* call(async () => 1);
        throw thrown;
      });
      expect(await rejection(scope.join())).toBe(thrown);
      expect(task.status).toBe("failed");
    }
  });

  it("rule 8: is halted when it cancels its scope in its first step", async () => {
    const log: string[] = [];
    const scope = createScope();
    spawn(scope, function* () {
      scope.cancel();
      try {
        yield* suspend();
      } finally {
        log.push("halted");
      }
    });
    await scope.close();
    expect(log).toEqual(["halted"]);
  });

  it("rule 8: cancellation halts it, its finally blocks run, and the scope waits for them", async () => {
    const log: string[] = [];
    const gate = deferred();
    const scope = createScope();
    const task = spawn(scope, function* () {
      try {
        log.push("begins");
        yield* suspend();
        log.push("never");
      } finally {
        log.push("finally");
        yield* call(() => gate.promise);
        log.push("cleaned");
      }
    });
    scope.defer(() => log.push("defer"));
    await flush();
    const closed = scope.close();
    expect(await outcomeOf(closed)).toBe("pending");
    expect(log).toEqual(["begins", "finally"]);
    gate.resolve();
    await closed;
    expect(log).toEqual(["begins", "finally", "cleaned", "defer"]);
    expect(task.status).toBe("cancelled");
    expect(await rejection(task)).toBe(scope.reason);
  });

  it("rule 8: an error that a finally block throws while it is halted is a failure", async () => {
    const scope = createScope();
    const task = spawn(scope, function* () {
      try {
        yield* suspend();
      } finally {
        yield* call(() => Promise.reject(error));
      }
    });
    await flush();
    expect(await rejection(scope.close())).toBe(error);
    expect(task.status).toBe("failed");
  });

  it("rule 8: an error that says halted is an error, when nothing was halted", async () => {
    const halted = new Error("halted");
    const scope = createScope({ supervise: true });
    const task = spawn(scope, function* () {
      yield* call(() => Promise.reject(halted));
    });
    expect(await rejection(task)).toBe(halted);
    await scope.join();
  });

  it("rule 8: a task that is cancelled by itself is halted, and its siblings are not", async () => {
    const log: string[] = [];
    const gate = deferred();
    const scope = createScope();
    const task = spawn(scope, function* () {
      try {
        yield* suspend();
      } finally {
        log.push("halted");
      }
    });
    const sibling = spawn(scope, function* () {
      yield* call(() => gate.promise);
      return "sibling";
    });
    await flush();
    task.cancel();
    await rejection(task);
    gate.resolve();
    expect(await sibling).toBe("sibling");
    expect(log).toEqual(["halted"]);
    await scope.join();
  });

  it("rule 8: an operation that has returned before the cancellation has succeeded", async () => {
    const scope = createScope();
    const task = spawn(scope, function* () {
      return yield* call(async () => "value");
    });
    expect(await task).toBe("value");
    scope.cancel();
    await scope.join();
    expect(task.status).toBe("succeeded");
  });

  it("rule 4: an operation never begins in a cancelled scope", async () => {
    const log: string[] = [];
    const scope = createScope();
    scope.cancel();
    await rejection(
      // eslint-disable-next-line require-yield -- it must not even begin
      spawn(scope, function* () {
        log.push("begins");
      }),
    );
    const self = createScope();
    // eslint-disable-next-line require-yield -- it must not even begin
    const generator = function* (): Generator<never, void> {
      log.push("begins");
    };
    const task = spawn(self, () => {
      self.cancel();
      return generator();
    });
    expect(await rejection(task)).toBe(self.reason);
    expect(log).toEqual([]);
  });

  it("rule 8: useAbortSignal() inside it aborts with the cancellation", async () => {
    let signal!: AbortSignal;
    const scope = createScope();
    spawn(scope, function* () {
      signal = yield* useAbortSignal();
      yield* suspend();
    });
    await flush();
    expect(signal.aborted).toBe(false);
    await scope.close();
    expect(signal.aborted).toBe(true);
  });

  it("rule 8: resources, ensure() and spawn of Effection's own work, and are torn down before the scope ends", async () => {
    const log: string[] = [];
    const connection = (): Operation<string> =>
      resource(function* (provide) {
        log.push("open");
        try {
          yield* provide("connection");
        } finally {
          yield* call(() => flush());
          log.push("close");
        }
      });
    const scope = createScope({ name: "scope" });
    scope.defer(() => log.push("scope's defer"));
    spawn(scope, function* (inner) {
      yield* ensure(() => void log.push("ensure"));
      log.push(yield* connection());
      yield* effectionSpawn(function* () {
        try {
          yield* suspend();
        } finally {
          log.push("child halted");
        }
      });
      inner.defer(() => log.push("task's defer"));
      yield* effectionSleep(0);
      yield* suspend();
    });
    while (log.length < 2) await flush();
    await new Promise((resolve) => setTimeout(resolve, 0)).then(flush);
    await scope.close();
    expect(log.slice(0, 2)).toEqual(["open", "connection"]);
    expect(log.slice(2, 5).toSorted()).toEqual(["child halted", "close", "ensure"]);
    expect(log.slice(5)).toEqual(["task's defer", "scope's defer"]);
  });

  it("rule 8: it can spawn in its own bough scope, which waits for it", async () => {
    const log: string[] = [];
    const scope = createScope();
    await spawn(scope, function* (inner) {
      spawn(inner, async () => {
        await flush();
        log.push("child");
      });
      const task = spawn(inner, async () => 2);
      log.push(`value ${yield* call(async () => await task)}`);
    });
    expect(log).toEqual(["value 2", "child"]);
    await scope.join();
  });

  it("rule 8: a failure of a child it spawned in bough halts it", async () => {
    const log: string[] = [];
    const scope = createScope();
    spawn(scope, function* (inner) {
      spawn(inner, async () => Promise.reject(error));
      try {
        yield* suspend();
      } finally {
        log.push("halted");
      }
    });
    expect(await rejection(scope.join())).toBe(error);
    expect(log).toEqual(["halted"]);
  });

  it("rule 8: an operation that cancels itself is halted at its next step", async () => {
    const log: string[] = [];
    const scope = createScope();
    const task = spawn(scope, function* (inner) {
      try {
        yield* call(async () => 1);
        inner.cancel("self");
        yield* suspend();
        log.push("never");
      } finally {
        log.push("finally");
      }
    });
    expect(await rejection(task)).toMatchObject({ kind: "explicit", cause: "self" });
    expect(log).toEqual(["finally"]);
    await scope.join();
  });

  it("rule 17: a deadline halts it", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
    const log: string[] = [];
    const done = withScope({ timeout: 1 }, function* () {
      try {
        yield* suspend();
      } finally {
        log.push("halted");
      }
    });
    vi.advanceTimersByTime(1);
    vi.useRealTimers();
    expect(await rejection(done)).toMatchObject({ kind: "deadline" });
    expect(log).toEqual(["halted"]);
  });

  it("rule 8: arrays, strings, maps, other iterables and async generators are plain values", async () => {
    const scope = createScope();
    const iterable = { [Symbol.iterator]: () => [1][Symbol.iterator]() };
    const asyncGenerator = (async function* () {
      yield 1;
    })();
    const halfGenerator = { next: () => ({ done: true, value: 1 }), return: () => ({ done: true }) };
    const map = new Map([[1, 2]]);
    for (const value of [[1, 2], "text", map, map.keys(), iterable, asyncGenerator, halfGenerator]) {
      expect(await spawn(scope, () => value as unknown)).toBe(value);
      expect(await spawn(scope, async () => value as unknown)).toBe(value);
    }
    await scope.join();
  });
});
