// oxlint-disable vitest/no-conditional-expect -- in a property, what holds depends on what was generated
import { AsyncLocalStorage } from "node:async_hooks";
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { deferred, flush, outcomeOf, rejection } from "../../../test/support/deferred.js";
import { plans, settle, sometime, Theatre } from "../../../test/support/plan.js";
import { untilCancelled } from "../../../test/support/until-cancelled.js";
import { createChannel, createScope, map, spawn, suppressed, withScope, type Scope } from "../../index.js";

/** An endless source that notes what is done to it. */
class Numbers implements IterableIterator<number> {
  taken = 0;
  closed = 0;
  [Symbol.iterator](): this {
    return this;
  }
  next(): IteratorResult<number> {
    return { done: false, value: this.taken++ };
  }
  return(): IteratorResult<number> {
    this.closed += 1;
    return { done: true, value: undefined };
  }
}

function expectNothingLost(
  outcome: PromiseSettledResult<number[]>,
  { failures }: Theatre,
  items: number,
  scope: Scope,
): void {
  if (outcome.status === "fulfilled") expect(outcome.value).toEqual([...Array(items).keys()]);
  else if (failures.length === 0) expect(outcome.reason).toBe(scope.reason);
  else expect(failures).toContain(outcome.reason);
}

describe("map()", () => {
  it("starts nothing for an item if the source has cancelled the scope", async () => {
    const scope = createScope();
    const started: number[] = [];
    function* source(): Generator<number> {
      yield 0;
      scope.cancel();
      yield 1;
    }
    expect(await rejection(map(scope, source(), (n) => void started.push(n)))).toBe(scope.reason);
    expect(started).toEqual([0]);
  });

  it("does not wait for a read if the source has cancelled the scope during it", async () => {
    const scope = createScope();
    let closed = 0;
    const source = {
      [Symbol.asyncIterator]: () => ({
        next: () => {
          scope.cancel();
          return new Promise<never>(() => undefined);
        },
        return: async () => {
          closed += 1;
          return { done: true as const, value: undefined };
        },
      }),
    };
    expect(await rejection(map(scope, source, () => 1))).toBe(scope.reason);
    expect(closed).toBe(1);
  });

  it("rule 22: resolves with the results in the order of the items", async () => {
    const gates = [deferred<string>(), deferred<string>()];
    const results = withScope((scope) =>
      map(scope, gates, (gate, _, index) => gate.promise.then((v) => v + index)),
    );
    gates[1]?.resolve("b");
    await flush();
    gates[0]?.resolve("a");
    expect(await results).toEqual(["a0", "b1"]);
  });

  it.each([
    ["an iterable", new Set([1, 2])],
    [
      "an async iterable",
      (async function* () {
        yield 1;
        yield 2;
      })(),
    ],
    ["a function that gives an iterable", () => [1, 2]],
    [
      "a function that gives an async iterable",
      async function* () {
        yield 1;
        yield 2;
      },
    ],
  ])("accepts %s", async (_, items) => {
    expect(await withScope((scope) => map(scope, items, (n) => n * 10))).toEqual([10, 20]);
  });

  it("accepts a string, and resolves with an empty array for no items", async () => {
    expect(await withScope((scope) => map(scope, "ab", (letter) => letter))).toEqual(["a", "b"]);
    expect(await withScope((scope) => map(scope, [], (item) => item))).toEqual([]);
  });

  it("runs everything at once without a concurrency", async () => {
    let running = 0;
    const scope = createScope();
    const result = map(scope, [1, 2, 3, 4, 5], (_, own) => {
      running += 1;
      return untilCancelled(own);
    });
    expect(running).toBe(5);
    scope.cancel();
    await rejection(result);
  });

  it("rule 22: does not read ahead of its concurrency: an endless source takes no memory", async () => {
    const scope = createScope();
    const numbers = new Numbers();
    let running = 0;
    const result = map(
      scope,
      numbers,
      async (n) => {
        running += 1;
        expect(running).toBeLessThanOrEqual(3);
        expect(numbers.taken - n).toBeLessThanOrEqual(3);
        await flush();
        running -= 1;
        if (n === 100) scope.cancel("enough");
      },
      { concurrency: 3 },
    );
    expect(await rejection(result)).toBe(scope.reason);
    expect(numbers.taken).toBeLessThanOrEqual(104);
    expect(numbers.closed).toBe(1);
  });

  it("rule 22: calls and awaits the source's return() when fn fails, and starts nothing more", async () => {
    const scope = createScope();
    const failure = new Error("third");
    const closed = deferred();
    const log: unknown[] = [];
    const source = {
      [Symbol.asyncIterator]: () => {
        let n = 0;
        return {
          next: async () => ({ done: false, value: n++ }) as const,
          return: async () => {
            await closed.promise;
            log.push("closed");
            return { done: true, value: undefined } as const;
          },
        };
      },
    };
    const result = map(scope, source, (n) => {
      log.push(n);
      if (n === 2) throw failure;
    });
    expect(await outcomeOf(result)).toBe("pending");
    closed.resolve();
    expect(await rejection(result)).toBe(failure);
    expect(log).toEqual([0, 1, 2, "closed"]);
    await scope.close();
  });

  it("rejects with the error that the source throws, and does not call its return(), because it has ended", async () => {
    const failure = new Error("source");
    let kind: string | undefined;
    const error = await rejection(
      withScope((scope) =>
        map(
          scope,
          (function* () {
            yield 1;
            throw failure;
          })(),
          (_, own) => untilCancelled(own).finally(() => (kind = own.reason?.kind)),
        ),
      ),
    );
    expect(error).toBe(failure);
    expect(kind).toBe("failure");
  });

  it("rule 22: cancels a source that is a function of the scope while it waits", async () => {
    const scope = createScope();
    const log: string[] = [];
    const result = map(
      scope,
      async function* (own) {
        try {
          yield 1;
          await untilCancelled(own);
        } finally {
          await flush();
          log.push("source closed");
        }
      },
      (n) => n,
    );
    expect(await outcomeOf(result)).toBe("pending");
    scope.cancel();
    expect(await rejection(result)).toBe(scope.reason);
    expect(log).toEqual(["source closed"]);
  });

  it("calls return() of a source that never answers, and does not wait for its answer", async () => {
    const scope = createScope();
    const log: string[] = [];
    const source = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise<IteratorResult<number>>(() => undefined),
        return: async () => {
          log.push("return");
          return { done: true, value: undefined } as const;
        },
      }),
    };
    const result = map(scope, source, (n) => n);
    scope.cancel();
    expect(await rejection(result)).toBe(scope.reason);
    expect(log).toEqual(["return"]);
  });

  it("rule 22: starts nothing once it is cancelled, at any microtask", async () => {
    for (let ticks = 0; ticks < 20; ticks++) {
      const scope = createScope();
      const late: number[] = [];
      let closed = 0;
      async function* source(): AsyncGenerator<number> {
        try {
          for (let n = 0; n < 5; n++) yield n;
        } finally {
          closed += 1;
        }
      }
      const result = map(scope, source(), (n) => {
        if (scope.cancelled) late.push(n);
      });
      const outcome = rejection(result).catch(() => "finished");
      for (let tick = 0; tick < ticks; tick++) await Promise.resolve();
      scope.cancel();
      expect([scope.reason, "finished"]).toContain(await outcome);
      expect([late, closed]).toEqual([[], 1]);
    }
  });

  it.each([
    [
      "next()",
      (scope: Scope) => ({
        next: () => {
          scope.cancel();
          return { done: false, value: 2 };
        },
      }),
    ],
    [
      "the value of its step",
      (scope: Scope) => ({
        next: () => ({
          done: false,
          get value() {
            scope.cancel();
            return 2;
          },
        }),
      }),
    ],
  ])("rule 22: starts nothing for an item whose source cancels the scope in %s", async (_, steps) => {
    const scope = createScope();
    const fn = vi.fn<() => void>();
    const close = vi.fn<() => IteratorResult<number>>(() => ({ done: true, value: undefined }));
    const source = { [Symbol.iterator]: () => ({ ...steps(scope), return: close }) };
    expect(await rejection(map(scope, source, fn))).toBe(scope.reason);
    expect(fn).not.toHaveBeenCalled();
    expect(close).toHaveBeenCalledOnce();
    await scope.close();
  });

  it.each([
    ["sync", { [Symbol.iterator]: () => ({ next: () => 42 }) }],
    ["async", { [Symbol.asyncIterator]: () => ({ next: async () => 42 }) }],
    ["sync", { [Symbol.iterator]: () => ({ next: () => undefined }) }],
  ])("fails when the next() of a %s source does not return an object", async (_, source) => {
    const items = source as unknown as Iterable<number>;
    await withScope(async (scope) => {
      expect(await rejection(map(scope, items, (n) => n))).toBeInstanceOf(TypeError);
    });
  });

  it("fails with the error that the source's return() throws", async () => {
    const failures = [new Error("fn"), new Error("return")];
    const scope = createScope();
    const source = new Numbers();
    source.return = () => {
      throw failures[1];
    };
    const error = await rejection(map(scope, source, () => Promise.reject(failures[0]), { concurrency: 1 }));
    expect(error).toBe(failures[0]);
    expect(suppressed(error)).toEqual([failures[1]]);
    await scope.close();
  });

  it("does not touch the source in a scope that is cancelled already", async () => {
    const scope = createScope();
    scope.cancel();
    const numbers = new Numbers();
    expect(await rejection(map(scope, numbers, (n) => n))).toBe(scope.reason);
    expect(numbers).toMatchObject({ taken: 0, closed: 0 });
  });

  it("leaves no pending receive in a channel that was its source", async () => {
    const scope = createScope();
    const channel = createChannel<number>();
    const result = map(
      createScope(scope),
      (own) => channel.values(own),
      (n) => n,
    );
    spawn(scope, (own) => channel.send(own, 1));
    await flush();
    void rejection(result);
    const inner = map(
      scope,
      (own) => channel.values(own),
      (n) => n,
    );
    scope.cancel();
    await rejection(inner);
    const other = createScope();
    const sent = channel.send(other, 2);
    expect(await outcomeOf(sent)).toBe("pending"); // nobody has taken it
    expect(channel.tryReceive()).toEqual({ closed: false, value: 2 });
    await other.close();
  });

  it("calls fn in the async context of its call, not in that of an earlier task", async () => {
    const storage = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    await storage.run("caller", () =>
      withScope((scope) =>
        map(
          scope,
          [1, 2, 3],
          (_, own) => {
            seen.push(storage.getStore());
            storage.run("inner", () => spawn(own, () => flush()));
          },
          { concurrency: 1 },
        ),
      ),
    );
    expect(seen).toEqual(["caller", "caller", "caller"]);
  });

  it.each([
    ["no iterable", () => map({} as Scope, 5 as never, () => 1), TypeError, "map: items must be iterable"],
    [
      "no function",
      () => map({} as Scope, [], 5 as never),
      TypeError,
      "map: worker must be a function, got 5",
    ],
    [
      "options that are none",
      () => map({} as Scope, [], () => 1, 5 as never),
      TypeError,
      "map: options must be",
    ],
    ["a concurrency of 0", () => map({} as Scope, [], () => 1, { concurrency: 0 }), RangeError, "got 0"],
    ["no scope", () => map({} as Scope, [], () => 1), TypeError, "map: scope must be a Scope"],
  ])("rejects %s", async (_, call, type, message) => {
    const error = await rejection(call());
    expect(error).toBeInstanceOf(type);
    expect(String(error)).toContain(message);
  });

  it("fails when the function of the scope does not return an iterable", async () => {
    const error = await rejection(withScope((scope) => map(scope, (() => 5) as never, () => 1)));
    expect(error).toBeInstanceOf(TypeError);
  });

  it("rule 22: never exceeds its concurrency, takes each item exactly once, and starts nothing once its outcome is decided", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        plans,
        fc.integer({ min: 1, max: 4 }),
        fc.boolean(),
        async (schedule, list, concurrency, cancels) => {
          const scope = createScope();
          const theatre = new Theatre(schedule);
          const result = map(scope, list, (plan, own, id) => theatre.worker(plan, id)(own), { concurrency });
          if (cancels) sometime(schedule, "cancel", () => scope.cancel());
          const outcome = await settle(schedule, result);
          await schedule.waitIdle();
          expect(theatre.running).toBe(0);
          expect(theatre.mostRunning).toBeLessThanOrEqual(concurrency);
          expect(theatre.started).toEqual([...theatre.started.keys()]);
          expectNothingLost(outcome, theatre, list.length, scope);
          await scope.close();
        },
      ),
      { numRuns: 200 },
    );
  });
});
