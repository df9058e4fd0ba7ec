// oxlint-disable vitest/no-conditional-expect -- in a property, what holds depends on what was generated
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Actor, acts } from "../../../test/support/actor.js";
import {
  allOf,
  atEveryStep,
  endings,
  endScope,
  expectNothingLeft,
  stop,
} from "../../../test/support/steps.js";
import { all, allSettled, any, createScope, map, race, stream, type Scope } from "../../index.js";
import { useFakeTime } from "../../../test/support/fake-time.js";

type Numbers = (scope: Scope) => number | Promise<number>;

const combinators: [string, (scope: Scope, workers: readonly Numbers[]) => Promise<unknown>][] = [
  ["all", all],
  ["allSettled", allSettled],
  ["race", race],
  ["any", any],
  ["map", (scope, workers) => map(scope, workers, call, { concurrency: 2 })],
  ["stream", (scope, workers) => collect(stream(scope, workers, call, { concurrency: 2 }))],
];

function call(worker: Numbers, own: Scope): number | Promise<number> {
  return worker(own);
}

async function collect(values: AsyncIterable<number>): Promise<number[]> {
  const collected: number[] = [];
  for await (const value of values) collected.push(value);
  return collected;
}

/** The errors among the results, or what it rejects with; and all that is kept with them. */
function errorsIn(outcome: PromiseSettledResult<unknown>): unknown[] {
  if (outcome.status === "fulfilled")
    return (outcome.value as PromiseSettledResult<number>[]).flatMap((result) =>
      result.status === "rejected" ? allOf(result.reason) : [],
    );
  const reason: unknown = outcome.reason;
  return [reason, ...(reason instanceof AggregateError ? (reason.errors as unknown[]) : [])].flatMap(allOf);
}

useFakeTime();

describe.each(combinators)("%s() at every step", (name, combine) => {
  // In a stream that is cancelled meanwhile, an item that has cancelled itself hides what else has failed.
  const members = name === "stream" ? acts.filter(({ end }) => end !== "cancels itself") : acts;
  const plans = fc.tuple(fc.array(members, { minLength: 1, maxLength: 3 }), endings);

  it("rule 22: settles after everything that it started, starts nothing after that, and reports every failure", () =>
    atEveryStep(8, plans, async (steps, [list, ending]) => {
      const reported: unknown[] = [];
      const scope = createScope({ onError: (error) => void reported.push(error) });
      const actors = list.map((act) => new Actor(steps, act));
      const counts = (): number[][] => actors.map(({ called, alive }) => [called, alive]);
      steps.interrupt = () => endScope(scope, ending);
      let atSettling: unknown;
      const result = combine(
        scope,
        actors.map(({ worker }) => worker),
      ).finally(() => (atSettling = counts()));
      const outcome = await steps.play(result);
      const failures = actors.flatMap((actor) => actor.failures);
      if (outcome.status === "rejected" || name === "allSettled") {
        const heard = [...errorsIn(outcome), ...reported];
        for (const failure of failures) expect(heard).toContain(failure);
      } else if (name !== "any") expect(failures).toEqual([]);
      expect(scope.errors.filter((error) => error !== stop)).toEqual([]);
      await expectNothingLeft(steps, scope);
      expect(atSettling).toEqual(actors.map(({ called }) => [called, 0]));
    }));
});
