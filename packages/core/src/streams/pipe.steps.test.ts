// oxlint-disable vitest/no-conditional-expect -- in a property, what holds depends on what was generated
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { flush } from "../../test/support/deferred.js";
import { makeSink, sinkPlans, type SinkKind, type WatchedSink } from "../../test/support/sinks.js";
import { expectSourceClosed, makeSource, sourcePlans, type SourceKind } from "../../test/support/sources.js";
import { allOf, atEveryStep, endings, endScope, expectNothingLeft, stop } from "../../test/support/steps.js";
import { createScope } from "../index.js";
import { snapshot } from "../inspect/index.js";
import { pipe } from "./index.js";

const kinds: [SourceKind, SinkKind][] = [
  ["an async iterator", "a Writable"],
  ["an async iterator", "a WritableStream"],
  ["a ReadableStream", "a Writable"],
  ["a ReadableStream", "a WritableStream"],
  ["a Readable", "a Writable"],
  ["a Duplex", "a WritableStream"],
];

function expectSinkAborted(sink: WatchedSink, kind: SinkKind): void {
  // A Web stream that has failed need not be aborted, but may just have been.
  if (kind === "a Writable" || !sink.failed) expect(sink.aborts).toBe(1);
  expect(sink.aborts).toBeLessThanOrEqual(1);
  expect(sink.aborted).toBe(sink.aborts);
}

describe.each(kinds)("pipe() from %s into %s at every step", (sourceKind, sinkKind) => {
  it("writes each chunk exactly once, closes both sides once, and leaves no reader, writer or listener", () =>
    atEveryStep(5, fc.tuple(sourcePlans, sinkPlans, endings), async (steps, plan) => {
      const [sourcePlan, sinkPlan, ending] = plan;
      const reported: unknown[] = [];
      const scope = createScope({ onError: (error) => void reported.push(error) });
      steps.interrupt = () => endScope(scope, ending);
      const source = makeSource[sourceKind](sourcePlan, steps);
      const sink = makeSink[sinkKind](sinkPlan, steps);
      const outcome = await steps.play(pipe(scope, source.source, sink.sink));
      expect([sink.isFree(), snapshot(scope).counts.children]).toEqual([true, 0]);
      expect(sink.given).toEqual([...sink.given.keys()]);
      const failures = [...source.thrown, ...sink.thrown];
      if (source.over && sourcePlan.end === "fails") failures.push(source.failure);
      if (outcome.status === "fulfilled") {
        expect([sink.given.length, sink.ended, source.over]).toEqual([sourcePlan.items, true, true]);
        expect(failures).toEqual([]);
      } else {
        const { reason } = outcome;
        expect([steps.interrupted && scope.reason, sink.failed && sink.failure, ...failures]).toContain(
          reason,
        );
        expectSinkAborted(sink, sinkKind);
        for (const failure of failures) expect([...allOf(reason), ...reported]).toContain(failure);
      }
      if (steps.undisturbed) expect(steps.interrupted).toBe(sourcePlan.end === "is silent" && !sink.failed);
      expectSourceClosed(source, sourceKind, steps.interrupted || sink.failed);
      expect(scope.errors.filter((error) => error !== stop)).toEqual([]);
      for (let n = 0; n < 5; n++) await flush();
      expect(source.isFree()).toBe(true);
      await expectNothingLeft(steps, scope);
    }));
});
