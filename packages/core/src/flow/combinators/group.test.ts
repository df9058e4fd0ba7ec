// oxlint-disable vitest/no-conditional-expect -- in a property, what holds depends on what was generated
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { deferred, flush, outcomeOf, rejection } from "../../../test/support/deferred.js";
import { goodPlans, plans, settle, sometime, Theatre } from "../../../test/support/plan.js";
import { untilCancelled } from "../../../test/support/until-cancelled.js";
import {
  all,
  allSettled,
  any,
  createContextKey,
  createScope,
  map,
  race,
  ScopeClosedError,
  spawn,
  suppressed,
  withScope,
  type Scope,
  type Worker,
} from "../../index.js";
import "../../effection/index.js";

/** The combinators that start several workers. Their common behaviour is tested here. */
type Combinator = (scope: Scope, workers: readonly Worker<unknown>[]) => Promise<unknown>;
const combinators: readonly (readonly [string, Combinator])[] = [
  ["all", all],
  ["allSettled", allSettled],
  ["race", race],
  ["any", any],
  ["map", (scope, workers) => map(scope, workers, (worker, own) => worker(own))],
];

/** Every failure is the error that the combinator rejected with, or one that it suppressed. */
function expectNoFailureLost(outcome: PromiseSettledResult<unknown>, { failures }: Theatre): void {
  if (failures.length === 0) return;
  const reason: unknown = outcome.status === "rejected" ? outcome.reason : undefined;
  expect(failures).toContain(reason);
  expect(new Set([reason, ...suppressed(reason)])).toEqual(new Set(failures));
}

describe.each(combinators)("%s()", (name, combine) => {
  it("rejects with the reason, and calls no worker, in a scope that is cancelled already", async () => {
    const scope = createScope();
    scope.cancel("enough");
    let called = false;
    const error = await rejection(combine(scope, [() => (called = true)]));
    expect(error).toBe(scope.reason);
    expect(called).toBe(false);
  });

  it("rejects with ScopeClosedError in a scope that has ended", async () => {
    const scope = createScope();
    await scope.close();
    expect(await rejection(combine(scope, [() => 1]))).toBeInstanceOf(ScopeClosedError);
  });

  it("rejects with a TypeError for a value that is not a scope", async () => {
    const error = await rejection(combine({} as Scope, [() => 1]));
    expect(error).toBeInstanceOf(TypeError);
    expect(String(error)).toContain(`${name}: scope must be a Scope`);
  });

  it("waits for the children of a worker and for its cleanup", async () => {
    const scope = createScope();
    const gate = deferred();
    const cleaned = deferred();
    const result = combine(scope, [
      (own) => {
        own.defer(() => cleaned.promise);
        spawn(own, () => gate.promise);
        return 1;
      },
    ]);
    expect(await outcomeOf(result)).toBe("pending");
    gate.resolve();
    expect(await outcomeOf(result)).toBe("pending");
    cleaned.resolve();
    await result;
    await scope.close();
  });

  it("is cancelled with its scope, waits for the cleanup, and rejects with the reason", async () => {
    const scope = createScope({ name: "root" });
    const cleaned = deferred();
    const reasons: unknown[] = [];
    const result = combine(scope, [
      async (own) => {
        try {
          await untilCancelled(own);
        } finally {
          reasons.push(own.reason);
          await cleaned.promise;
        }
      },
    ]);
    scope.cancel("enough");
    expect(await outcomeOf(result)).toBe("pending");
    cleaned.resolve();
    expect(await rejection(result)).toBe(scope.reason);
    expect(reasons).toEqual([scope.reason]);
  });

  it("keeps its scope from settling while it runs", async () => {
    const gate = deferred();
    const scope = withScope((own) => {
      void combine(own, [() => gate.promise]);
    });
    expect(await outcomeOf(scope)).toBe("pending");
    gate.resolve();
    await scope;
  });

  it("rejects with the failure of a cleanup after its scope was cancelled", async () => {
    const scope = createScope();
    const failure = new Error("cleanup");
    const result = combine(scope, [
      (own) => {
        own.defer(() => {
          throw failure;
        });
        return untilCancelled(own);
      },
    ]);
    scope.cancel();
    expect(await rejection(result)).toBe(failure);
    expect(scope.errors).toEqual([]);
    await scope.close();
  });

  it("rule 22: leaves nothing behind in its scope", async () => {
    const scope = createScope();
    await combine(scope, [() => 1, async () => 2]);
    await combine(scope, [() => Promise.reject(new Error("no"))]).catch(() => undefined);
    await scope.join(); // nothing to wait for, nothing failed
    expect(scope.errors).toEqual([]);
  });

  it("names its scope after itself, below the caller's, and the scopes of the workers after the workers", async () => {
    const paths: string[] = [];
    await withScope({ name: "root" }, (scope) =>
      combine(scope, [
        function worker(own) {
          paths.push(own.path);
        },
      ]),
    );
    expect(paths).toEqual([name === "map" ? "root/map/anonymous" : `root/${name}/worker`]);
  });

  it("lets values through", async () => {
    const key = createContextKey<string>("key");
    const seen: string[] = [];
    await withScope(async (scope) => {
      scope.set(key, "value");
      await combine(scope, [(own) => seen.push(own.get(key))]);
    });
    expect(seen).toEqual(["value"]);
  });

  it("runs generator functions as Effection operations", async () => {
    const result = await withScope((scope) =>
      combine(scope, [
        // oxlint-disable-next-line require-yield -- an operation need not wait for anything
        function* operation() {
          return 7;
        },
      ]),
    );
    expect([7, [7], [{ status: "fulfilled", value: 7 }]]).toContainEqual(result);
  });

  it("calls its workers in order and synchronously", async () => {
    const log: string[] = [];
    const scope = createScope();
    const result = combine(scope, [async () => log.push("first"), async () => log.push("second")]);
    log.push("returned");
    await result;
    expect(log).toEqual(["first", "second", "returned"]);
    await scope.close();
  });

  it("settles after everything that it started, for every order of events", async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), plans, fc.boolean(), async (schedule, list, cancels) => {
        const scope = createScope();
        const theatre = new Theatre(schedule);
        const result = combine(
          scope,
          list.map((plan, id) => theatre.worker(plan, id)),
        );
        const atSettling = result.then(
          () => [theatre.started.length, theatre.ended.length],
          () => [theatre.started.length, theatre.ended.length],
        );
        if (cancels) sometime(schedule, "cancel", () => scope.cancel());
        const outcome = await settle(schedule, result);
        const [started, ended] = await atSettling;
        expect(ended).toBe(started);
        await schedule.waitIdle();
        expect(theatre.started).toHaveLength(started as number);
        if (name !== "any" && name !== "allSettled") expectNoFailureLost(outcome, theatre);
        expect(scope.errors).toEqual([]);
        await scope.close();
      }),
      { numRuns: 150 },
    );
  });
});

describe.each([
  ["all", all],
  ["allSettled", allSettled],
  ["race", race],
  ["any", any],
] as const)("%s()", (name, combine) => {
  it.each([
    ["something that is no array", "no", "workers must be an array of functions"],
    [
      "something among the workers that is no function",
      [(): number => 1, 2],
      "workers[1] must be a function, got 2",
    ],
    [
      "a hole among the workers",
      Object.assign(Array.from({ length: 2 }), [(): number => 1]),
      "workers[1] must be a function",
    ],
  ])("rejects %s with a TypeError, and starts nothing", async (_, workers, message) => {
    const scope = createScope();
    const error = await rejection(combine(scope, workers as never));
    expect(error).toBeInstanceOf(TypeError);
    expect(String(error)).toContain(`${name}: ${message}`);
    await scope.join();
  });

  it("does not start the workers after one that cancels the scope", async () => {
    const scope = createScope();
    const log: number[] = [];
    const result = combine(scope, [
      () => {
        log.push(1);
        scope.cancel();
        return new Promise<void>(() => undefined);
      },
      () => log.push(2),
    ]);
    void result.catch(() => undefined);
    await flush();
    expect(log).toEqual([1]);
  });
});

describe.each([
  ["all", all],
  ["allSettled", allSettled],
] as const)("%s()", (_, combine) => {
  it("rule 15: rejects with the reason when not every worker was called, although none was cut short", async () => {
    const scope = createScope();
    const result = combine(scope, [() => scope.cancel(), () => true]);
    expect(await rejection(result)).toBe(scope.reason);
  });
});

describe.each([
  ["race", race],
  ["any", any],
] as const)("%s()", (_, combine) => {
  it("rule 22: waits for the losers' cleanup, which it cancels with kind closed", async () => {
    const scope = createScope();
    const cleaned = deferred();
    let reason: unknown;
    const result = combine(scope, [
      async (own) => {
        await untilCancelled(own).catch(() => undefined);
        reason = own.reason;
        await cleaned.promise;
      },
      async () => "winner",
    ]);
    expect(await outcomeOf(result)).toBe("pending");
    expect(reason).toMatchObject({ kind: "closed" });
    cleaned.resolve();
    expect(await result).toBe("winner");
    expect(scope.cancelled).toBe(false);
    await scope.close();
  });

  it("rule 22: is decided by a worker that settles synchronously, and starts no further worker", async () => {
    const scope = createScope();
    const log: string[] = [];
    const result = combine(scope, [
      (own) => untilCancelled(own),
      () => "winner",
      () => log.push("started too late"),
    ]);
    expect(await result).toBe("winner");
    expect(log).toEqual([]);
    await scope.close();
  });

  it("rule 22: fails with a loser that fails in its cleanup", async () => {
    const scope = createScope();
    const failures = [new Error("one"), new Error("two")];
    const loser =
      (index: number): Worker<never> =>
      async (own) => {
        await untilCancelled(own).catch(() => undefined);
        throw failures[index];
      };
    const error = await rejection(combine(scope, [loser(0), loser(1), async () => "winner"]));
    expect(error).toBe(failures[0]);
    expect(suppressed(error)).toEqual([failures[1]]);
    expect(scope.errors).toEqual([]);
    await scope.close();
  });

  it("keeps the value of the winner when its scope is cancelled while the losers clean up", async () => {
    const scope = createScope();
    const cleaned = deferred();
    const result = combine(scope, [
      (own) => {
        own.defer(() => cleaned.promise);
        return untilCancelled(own);
      },
      async () => "winner",
    ]);
    await flush();
    scope.cancel();
    cleaned.resolve();
    expect(await result).toBe("winner");
  });

  it("resolves with the value of the first worker to end, for every order of events", async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), goodPlans, async (schedule, list) => {
        const scope = createScope();
        const theatre = new Theatre(schedule);
        const outcome = await settle(
          schedule,
          combine(
            scope,
            list.map((plan, id) => theatre.worker(plan, id)),
          ),
        );
        expect(outcome).toEqual({ status: "fulfilled", value: theatre.ended[0] });
        await scope.close();
      }),
      { numRuns: 100 },
    );
  });
});

describe("a group", () => {
  it("rule 22: does not report a failure to its scope", async () => {
    const failure = new Error("mine");
    const scope = createScope();
    const sibling = spawn(scope, untilCancelled);
    expect(await rejection(all(scope, [() => Promise.reject(failure)]))).toBe(failure);
    expect(scope.cancelled).toBe(false);
    expect(sibling.status).toBe("running");
    await scope.close();
  });
});
