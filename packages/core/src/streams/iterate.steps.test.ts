// oxlint-disable vitest/no-conditional-expect -- in a property, what holds depends on what was generated
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { flush } from "../../test/support/deferred.js";
import {
  after,
  expectSourceClosed,
  makeSource,
  paces,
  sourcePlans,
  type SourceKind,
  type SourcePlan,
  type Watched,
} from "../../test/support/sources.js";
import {
  allOf,
  atEveryStep,
  endings,
  endScope,
  expectNoHooks,
  expectNothingLeft,
} from "../../test/support/steps.js";
import { createScope, type ScopeHandle } from "../index.js";
import { snapshot } from "../inspect/index.js";
import { iterate, toReadableStream } from "./index.js";

/** The moves of the consumer: it reads so many items, with a pause after each, and then continues or stops. */
const consumers = fc.record({
  items: fc.integer({ min: 0, max: 3 }),
  pace: paces,
  next: fc.constantFrom("reads on", "reads on", "leaves", "leaves while it reads", "goes away"),
});
type Consumer = typeof consumers extends fc.Arbitrary<infer C> ? C : never;

/** The outcome. */
class Findings {
  readonly values: number[] = [];
  /** The outcome of a read without a value. */
  readonly ends: unknown[] = [];

  async of(
    reading: Promise<{ readonly done?: boolean; readonly value?: number | undefined }>,
  ): Promise<boolean> {
    try {
      const { done, value } = await reading;
      if (done !== true) this.values.push(value as number);
      else this.ends.push("the end");
      return done !== true;
    } catch (error) {
      this.ends.push(error);
      return false;
    }
  }
}

type Reader = {
  readonly next: () => Promise<IteratorResult<number>>;
  readonly leave: () => Promise<unknown>;
};

async function consume(reader: Reader, { items, pace, next }: Consumer, findings: Findings): Promise<void> {
  for (let n = 0; n < items; n++) {
    if (!(await findings.of(reader.next()))) return;
    await after(pace);
  }
  if (next === "goes away") return;
  const reading = next === "leaves while it reads" ? findings.of(reader.next()) : undefined;
  if (next === "reads on") while (await findings.of(reader.next())) await after(pace);
  else await reader.leave().catch((error: unknown) => findings.ends.push(error));
  await reading;
}

/** Each item is delivered exactly once, and every failure has a receiver. */
function expectNothingLost(
  findings: Findings,
  source: Watched,
  plan: SourcePlan,
  scope: ScopeHandle,
  reported: readonly unknown[],
): void {
  expect(findings.values).toEqual([...findings.values.keys()]);
  const failures: unknown[] = [...source.thrown];
  if (source.over && plan.end === "fails") failures.push(source.failure);
  for (const end of findings.ends) expect(["the end", scope.reason, ...failures]).toContain(end);
  const heard = [...findings.ends, ...scope.errors, ...reported].flatMap(allOf);
  for (const failure of failures) expect(heard).toContain(failure);
}

const kinds: SourceKind[] = ["an async iterator", "a ReadableStream", "a Readable", "a Duplex"];
/** The outcomes of both for one source. */
const readers: readonly (readonly [string, (scope: ScopeHandle, source: Watched["source"]) => Reader])[] = [
  [
    "iterate()",
    (scope, source) => {
      const items = iterate(scope, source);
      return { next: () => items.next(), leave: async () => items.return?.() };
    },
  ],
  [
    "toReadableStream()",
    (scope, source) => {
      const reader = toReadableStream(scope, source).getReader();
      return { next: () => reader.read(), leave: () => reader.cancel() };
    },
  ],
];

describe.each(readers.flatMap(([name, open]) => kinds.map((kind) => [name, kind, open] as const)))(
  "%s of %s at every step",
  (_, kind, open) => {
    it("yields each chunk exactly once, settles every read, and closes the source once", () =>
      atEveryStep(6, fc.tuple(sourcePlans, consumers, endings), async (steps, [plan, consumer, ending]) => {
        const reported: unknown[] = [];
        const scope = createScope({ onError: (error) => void reported.push(error) });
        steps.interrupt = () => endScope(scope, ending);
        const source = makeSource[kind](plan, steps);
        const findings = new Findings();
        await steps.play(consume(open(scope, source.source), consumer, findings));
        if (consumer.next !== "goes away" && !scope.cancelled) {
          expect(snapshot(scope).counts.children).toBe(0);
          expectNoHooks(scope);
        }
        await steps.play(scope.close().catch(() => undefined));
        expectSourceClosed(source, kind, steps.interrupted || consumer.next !== "reads on");
        for (let n = 0; n < 5; n++) await flush();
        expect(source.isFree()).toBe(true);
        expectNothingLost(findings, source, plan, scope, reported);
        if (steps.undisturbed && consumer.next === "reads on" && plan.end === "ends")
          expect(findings.values).toHaveLength(plan.items);
        await expectNothingLeft(steps, scope);
      }));
  },
);
