// oxlint-disable vitest/no-conditional-expect -- in a property, what holds depends on what was generated
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { deferred, flush, outcomeOf, rejection, thrown } from "../../../test/support/deferred.js";
import { plans, sometime, Theatre } from "../../../test/support/plan.js";
import { untilCancelled } from "../../../test/support/until-cancelled.js";
import { createScope, spawn, stream, suppressed, withScope, type Scope } from "../../index.js";

function* count(log: string[] = []): Generator<number> {
  try {
    for (let n = 0; ; n++) {
      log.push(`take ${n}`);
      yield n;
    }
  } finally {
    log.push("closed");
  }
}

/** All results came, or every failure, or the reason why not. */
function expectAll(
  outcome: PromiseSettledResult<unknown>,
  items: number | undefined,
  results: readonly number[],
  { failures }: Theatre,
  scope: Scope,
): void {
  if (outcome.status === "fulfilled" && items !== undefined) expect(results).toHaveLength(items);
  if (outcome.status === "fulfilled") return expect(failures).toEqual([]);
  const reason: unknown = outcome.reason;
  if (reason === scope.reason) expect(failures).toEqual([]);
  else expect(new Set([reason, ...suppressed(reason)])).toEqual(new Set(failures));
}

describe("stream()", () => {
  it("yields the results in the order of the items, and ends with the source", async () => {
    const results: number[] = [];
    await withScope(async (scope) => {
      for await (const n of stream(scope, [1, 2, 3], async (n) => n * 10)) results.push(n);
    });
    expect(results).toEqual([10, 20, 30]);
  });

  it("works on one item at a time by default, as a generator does", async () => {
    const log: string[] = [];
    await withScope(async (scope) => {
      for await (const n of stream(scope, count(log), (n) => log.push(`work ${n}`))) {
        await flush();
        log.push("got");
        if (n > 4) break;
      }
    });
    expect(log).toEqual(["take 0", "work 0", "got", "take 1", "work 1", "got", "closed"]);
  });

  it("yields the results of an unordered stream as they become ready", async () => {
    const gates = [deferred(), deferred()];
    await withScope(async (scope) => {
      const results = stream(scope, gates, (gate, _, index) => gate.promise.then(() => index), {
        concurrency: 2,
        ordered: false,
      });
      const first = results.next();
      gates[1]?.resolve();
      expect(await first).toEqual({ done: false, value: 1 });
      gates[0]?.resolve();
      expect(await results.next()).toEqual({ done: false, value: 0 });
      expect(await results.next()).toEqual({ done: true, value: undefined });
    });
  });

  it("rule 22: starts at most concurrency items that were not taken: an endless source takes no memory", async () => {
    await withScope(async (scope) => {
      let started = 0;
      let taken = 0;
      for await (const n of stream(scope, count(), () => ++started, { concurrency: 4 })) {
        await flush();
        taken += 1;
        expect(n).toBe(taken);
        expect(started).toBeLessThanOrEqual(taken + 3);
        if (taken === 200) break;
      }
    });
  });

  it("does not open the source before the first next(), or if return() is called first", async () => {
    const log: string[] = [];
    await withScope(async (scope) => {
      const results = stream(scope, count(log), (n) => n);
      await flush();
      expect(log).toEqual([]);
      expect(await results.return?.()).toEqual({ done: true, value: undefined });
      expect(await results.next()).toEqual({ done: true, value: undefined });
    });
    expect(log).toEqual([]);
  });

  it("rule 22: return() cancels with kind closed, and waits for the cleanup and for the source", async () => {
    const log: unknown[] = [];
    const cleaned = deferred();
    const scope = createScope();
    const results = stream(
      scope,
      async function* (own) {
        try {
          yield 0;
          yield 1;
          await untilCancelled(own);
        } finally {
          log.push("source closed");
        }
      },
      async (n, own) => {
        if (n === 0) return n;
        await untilCancelled(own).catch(() => log.push(own.reason?.kind));
        await cleaned.promise;
        log.push("cleaned");
        return n;
      },
      { concurrency: 3 },
    );
    expect(await results.next()).toEqual({ done: false, value: 0 });
    await flush();
    const returned = results.return?.() as Promise<unknown>;
    expect(await outcomeOf(returned)).toBe("pending");
    cleaned.resolve();
    expect(await returned).toEqual({ done: true, value: undefined });
    expect(log.toSorted()).toEqual(["cleaned", "closed", "source closed"]);
    expect(scope.cancelled).toBe(false);
    await scope.join();
  });

  it("return() ends a next() that waits", async () => {
    const scope = createScope();
    const results = stream(scope, [1], (_, own) => untilCancelled(own));
    const next = results.next();
    await results.return?.();
    expect(await next).toEqual({ done: true, value: undefined });
    await scope.close();
  });

  it("return() rejects with the failure of a cleanup", async () => {
    const failure = new Error("cleanup");
    const scope = createScope();
    const results = stream(
      scope,
      [1, 2],
      (n, own) => {
        own.defer(() => {
          if (n === 2) throw failure;
        });
        return n === 1 ? n : untilCancelled(own);
      },
      { concurrency: 2 },
    );
    await results.next();
    expect(await rejection(results.return?.() as Promise<unknown>)).toBe(failure);
    expect(scope.errors).toEqual([]);
    await scope.close();
  });

  it("delivers the results that are ready, then rejects with the first failure and ends", async () => {
    const failure = new Error("second");
    const scope = createScope();
    let kind: string | undefined;
    const results = stream(
      scope,
      [0, 1, 2],
      (n, own) => {
        if (n === 0) return n;
        if (n === 1) throw failure;
        own.onCancel((reason) => (kind = reason.kind));
        return untilCancelled(own);
      },
      { concurrency: 3 },
    );
    expect(await results.next()).toEqual({ done: false, value: 0 });
    expect(await rejection(results.next())).toBe(failure);
    expect(await results.next()).toEqual({ done: true, value: undefined });
    expect(kind).toBe(undefined); // the third was never started
    expect(scope.cancelled).toBe(false);
    await scope.join();
  });

  it("rejects with the error that the source throws", async () => {
    const failure = new Error("source");
    const scope = createScope();
    const results = stream(
      scope,
      // oxlint-disable-next-line require-yield -- it has nothing to give
      (function* (): Generator<number> {
        throw failure;
      })(),
      (n) => n,
    );
    expect(await rejection(results.next())).toBe(failure);
    await scope.close();
  });

  it("rejects with the reason when its scope is cancelled, after the cleanup", async () => {
    const scope = createScope();
    const log: string[] = [];
    const results = stream(scope, count(log), (_, own) => untilCancelled(own));
    const next = results.next();
    scope.cancel("enough");
    expect(await rejection(next)).toBe(scope.reason);
    expect(log.at(-1)).toBe("closed");
    expect(await results.next()).toEqual({ done: true, value: undefined });
  });

  it("rejects with the reason in a scope that is cancelled already, and does not touch the source", async () => {
    const scope = createScope();
    scope.cancel();
    const log: string[] = [];
    const results = stream(scope, count(log), (n) => n);
    expect(await rejection(results.next())).toBe(scope.reason);
    expect(log).toEqual([]);
    expect(await results.next()).toEqual({ done: true, value: undefined });
  });

  it("does not keep its scope from ending when it is no longer read", async () => {
    const log: string[] = [];
    let results!: AsyncIterator<number>;
    await withScope(async (scope) => {
      results = stream(scope, count(log), (n) => n, { concurrency: 2 });
      await results.next();
    });
    expect(log).toEqual(["take 0", "take 1", "closed"]);
    expect(await rejection(results.next())).toMatchObject({ kind: "closed" });
  });

  it("rule 11: passes a failure that its consumer never reads to its scope", async () => {
    const failure = new Error("nobody came");
    const error = await rejection(
      withScope(async (scope) => {
        const results = stream(scope, [0, 1], (n) => (n === 0 ? n : Promise.reject(failure)), {
          concurrency: 2,
        });
        await results.next();
        await flush();
      }),
    );
    expect(error).toBe(failure);
  });

  it("rule 11: passes the failure of a cleanup to its scope if its consumer does not read on", async () => {
    const failure = new Error("cleanup");
    const scope = createScope();
    const results = stream(
      scope,
      [0, 1],
      (n, own) => {
        own.defer(() => {
          if (n === 1) throw failure;
        });
        return n === 0 ? n : untilCancelled(own);
      },
      { concurrency: 2 },
    );
    await results.next();
    await flush();
    expect(await rejection(scope.close())).toBe(failure);
    expect(await rejection(results.next())).toBe(failure);
  });

  it("rule 11: reports a failure only to its reader if the reader has received it", async () => {
    const failure = new Error("taken");
    const reported: unknown[] = [];
    await withScope({ onError: (error) => void reported.push(error) }, async (scope) => {
      const results = stream(scope, [0, 1], (n) => (n === 0 ? n : Promise.reject(failure)), {
        concurrency: 2,
      });
      await results.next();
      await flush();
      expect(await rejection(results.return?.() as Promise<unknown>)).toBe(failure);
    });
    await flush();
    expect(reported).toEqual([]);
  });

  it("is stopped at once in a scope that only waits for its daemons", async () => {
    const scope = createScope();
    let results!: AsyncIterator<number>;
    const gate = deferred();
    spawn(
      scope,
      async (own) => {
        await untilCancelled(own).catch(() => undefined);
        results = stream(scope, count(), (n) => n);
        void results.next().catch(() => undefined);
        await gate.promise;
      },
      { daemon: true },
    );
    const joined = scope.join();
    await flush();
    gate.resolve();
    await joined;
    expect(await results.next()).toEqual({ done: true, value: undefined });
  });

  it("answers several next() calls at once, in order", async () => {
    await withScope(async (scope) => {
      const results = stream(scope, [1, 2], (n) => n);
      expect(await Promise.all([results.next(), results.next(), results.next()])).toEqual([
        { done: false, value: 1 },
        { done: false, value: 2 },
        { done: true, value: undefined },
      ]);
    });
  });

  it.each([
    ["no iterable", () => stream({} as Scope, 5 as never, () => 1), TypeError],
    ["no function", () => stream({} as Scope, [], 5 as never), TypeError],
    ["no scope", () => stream({} as Scope, [], () => 1), TypeError],
    ["a concurrency of 0", () => stream({} as Scope, [], () => 1, { concurrency: 0 }), RangeError],
    [
      "an ordered that is no boolean",
      () => stream({} as Scope, [], () => 1, { ordered: 1 as never }),
      TypeError,
    ],
  ])("throws for %s", (_, call, type) => {
    expect(thrown(call)).toBeInstanceOf(type);
  });

  it("rule 22: yields each result exactly once, ordered or not, and ends after everything that it started", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        plans,
        fc.record({ concurrency: fc.integer({ min: 1, max: 4 }), ordered: fc.boolean() }),
        fc.option(fc.constantFrom("cancel", "break"), { nil: undefined }),
        async (schedule, list, options, interruption) => {
          const scope = createScope();
          const theatre = new Theatre(schedule);
          const results: number[] = [];
          let leave = false;
          if (interruption === "cancel") sometime(schedule, "cancel", () => scope.cancel());
          if (interruption === "break") sometime(schedule, "break", () => (leave = true));
          const consumer = withScope(async (own) => {
            for await (const n of stream(
              scope,
              list,
              (plan, item, id) => theatre.worker(plan, id)(item),
              options,
            )) {
              results.push(n);
              await theatre.step(own, "consumer");
              if (leave) break;
            }
          });
          const [outcome] = await schedule.waitFor(
            Promise.allSettled([consumer.finally(() => expect(theatre.running).toBe(0))]),
          );
          expect(theatre.mostRunning).toBeLessThanOrEqual(options.concurrency);
          expect(new Set(results).size).toBe(results.length);
          expect(options.ordered ? results : []).toEqual(options.ordered ? [...results.keys()] : []);
          expectAll(outcome, leave ? undefined : list.length, results, theatre, scope);
          await schedule.waitIdle();
          await scope.close().catch((error: unknown) => {
            if (!theatre.failures.includes(error)) throw error;
          });
        },
      ),
      { numRuns: 200 },
    );
  });
});
