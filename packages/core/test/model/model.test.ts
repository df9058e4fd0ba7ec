import fc from "fast-check";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { Check, type Command } from "./check.js";

/** `BOUGH_MODEL_RUNS=100000 npx vitest run --project unit test/model` looks for a while, each time elsewhere. */
const more = process.env["BOUGH_MODEL_RUNS"];
const seed = process.env["BOUGH_MODEL_SEED"];
const parameters = {
  numRuns: Number(more ?? 1_500),
  // The same runs every time, unless asked for more. fast-check prints the random-number seed and the path of a failure.
  ...(seed !== undefined ? { seed: Number(seed) } : more === undefined ? { seed: 20_260_101 } : {}),
};
const TIMEOUT = more === undefined ? 60_000 : 24 * 3_600_000;

let others: NodeJS.UnhandledRejectionListener[] = [];
const unhandled: unknown[] = [];
const collect = (error: unknown): void => void unhandled.push(error);

beforeAll(() => {
  others = process.listeners("unhandledRejection");
  process.removeAllListeners("unhandledRejection").on("unhandledRejection", collect);
});
afterAll(() => {
  process.off("unhandledRejection", collect);
  for (const listener of others) process.on("unhandledRejection", listener);
});
beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] }));
afterEach(() => void vi.useRealTimers());

const target = fc.nat(40);
const ending = fc.constantFrom("value", "error", "abort", "cause", "reason");
const work = fc.record({
  mode: fc.oneof(
    { arbitrary: fc.constant("held"), weight: 8 },
    { arbitrary: fc.constantFrom("value", "throw", "reject"), weight: 2 },
  ),
  reaction: fc.oneof(
    { arbitrary: fc.constantFrom("reason", "ignore"), weight: 4 },
    { arbitrary: ending, weight: 2 },
  ),
  hears: fc.constantFrom("callback", "signal"),
});
const seldom = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof({ arbitrary: fc.constant(undefined), weight: 4 }, { arbitrary: value, weight: 1 });
const limits = {
  supervise: seldom(fc.constant(true)),
  concurrency: seldom(fc.constantFrom(1, 2)),
  timeout: seldom(fc.constantFrom(0, 10, 20, 30)),
};
const taskSpec = fc.record({ ...limits, daemon: seldom(fc.constant(true)), awaited: fc.boolean() });
const scopeSpec = fc.record({
  ...limits,
  onError: seldom(fc.constant(true)),
  signal: fc.constantFrom(undefined, undefined, 0, 0, 1),
});
const action = fc.oneof(
  { arbitrary: fc.constant({ do: "nothing" as const }), weight: 3 },
  { arbitrary: fc.constant({ do: "throw" as const }), weight: 2 },
  {
    arbitrary: fc.record({
      do: fc.constantFrom("cancel", "spawn", "defer", "close", "stop", "signal"),
      target,
      work,
    }),
    weight: 4,
  },
);
/** An abort listener that throws is an uncaught exception, whatever we do. */
const listenerAction = action.filter((candidate) => candidate.do !== "throw");
const op = <T extends string, R extends object>(name: T, rest: { [K in keyof R]: fc.Arbitrary<R[K]> }) =>
  fc.record({ op: fc.constant(name), target, ...rest });

const command = fc.oneof(
  { arbitrary: op("spawn", { spec: taskSpec, work }), weight: 10 },
  { arbitrary: op("createScope", { spec: scopeSpec }), weight: 5 },
  { arbitrary: op("withScope", { spec: scopeSpec, work }), weight: 4 },
  { arbitrary: op("finish", { ending, count: fc.integer({ min: 1, max: 3 }) }), weight: 8 },
  { arbitrary: op("cancel", {}), weight: 4 },
  { arbitrary: op("wait", { kind: fc.constantFrom("join", "close", "dispose") }), weight: 4 },
  { arbitrary: op("defer", { held: fc.boolean(), action }), weight: 6 },
  { arbitrary: op("release", {}), weight: 5 },
  { arbitrary: op("onCancel", { action }), weight: 5 },
  { arbitrary: op("onAbort", { action: listenerAction }), weight: 3 },
  { arbitrary: op("stop", {}), weight: 1 },
  { arbitrary: op("abort", {}), weight: 2 },
  { arbitrary: op("signal", {}), weight: 1 },
  { arbitrary: op("tick", {}), weight: 3 },
) as unknown as fc.Arbitrary<Command>;

const script = fc.tuple(scopeSpec, fc.array(command, { maxLength: 40, size: "max" }));

test(
  "every rule: a random tree behaves as the reference model, step by step",
  { timeout: TIMEOUT },
  async () => {
    let compared = 0;
    let steps = 0;
    await fc.assert(
      fc.asyncProperty(script, async ([root, commands]) => {
        await Check.run(unhandled, async (check) => {
          check.begin(root);
          for (const next of commands) {
            steps += 1;
            if (!check.apply(next)) continue;
            await check.compare();
            compared += 1;
          }
        });
      }),
      parameters,
    );
    // A reference that calls everything ambiguous would agree with anything.
    expect(compared).toBeGreaterThan(steps / 3);
  },
);

test(
  "every rule: a random tree behaves as the reference model, in every order in which its promises resolve",
  { timeout: TIMEOUT },
  async () => {
    const growing = fc.array(
      command.filter(({ op: name }) => !["finish", "release", "tick", "abort"].includes(name)),
      { minLength: 4, maxLength: 20, size: "max" },
    );
    await fc.assert(
      fc.asyncProperty(scopeSpec, growing, ending, fc.scheduler(), async (root, commands, how, scheduler) => {
        await Check.run(unhandled, async (check) => {
          check.begin(root);
          for (const next of commands) if (check.apply(next)) await check.compare();
          for (let round = 0; round < 20 && check.heldUp().length > 0; round++) {
            for (const name of check.heldUp())
              void scheduler.schedule(Promise.resolve(), name).then(() => check.letGo(name, how));
            while (scheduler.count() > 0) {
              await scheduler.waitOne();
              await check.compare();
            }
          }
        });
      }),
      { ...parameters, numRuns: Math.ceil(parameters.numRuns / 4) },
    );
  },
);
