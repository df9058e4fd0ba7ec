import { describe, expect, it, onTestFinished, vi } from "vitest";
import { rejection } from "../../test/support/deferred.js";
import { parsePrometheus as parse, type Metric } from "../../test/support/prometheus.js";
import { untilCancelled } from "../../test/support/until-cancelled.js";
import { createScope, sleep, spawn, withScope } from "../index.js";
import { createRecorder, toPrometheus } from "./index.js";

/** Each histogram has classes that only grow, up to all. */
function checkHistogram({ samples }: Metric, name: string, kind: string): void {
  const buckets = [...samples].filter(([key]) => key.startsWith(`${name}_bucket{kind="${kind}",`));
  const counts = buckets.map(([, count]) => count);
  expect(counts).toEqual(counts.toSorted((a, b) => a - b));
  const bounds = buckets.map(([key]) => Number(/le="(.*)"/.exec(key)?.[1]?.replace("+Inf", "Infinity")));
  expect(bounds).toEqual(bounds.toSorted((a, b) => a - b));
  expect(bounds.at(-1)).toBe(Infinity);
  expect(counts.at(-1)).toBe(samples.get(`${name}_count{kind="${kind}"}`));
}

describe("toPrometheus()", () => {
  it("counts started, settled and live scopes by kind, and cancellations by their reason", async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    using recorder = createRecorder();
    const scope = createScope({ name: "root" });
    onTestFinished(() => scope.close());
    spawn(scope, untilCancelled);
    for (const ms of [1, 30, 400_000]) spawn(scope, (own) => sleep(own, ms));
    const cancelled = spawn(scope, untilCancelled);
    cancelled.cancel();
    await rejection(cancelled);
    await rejection(
      withScope(() => {
        throw new Error("no");
      }),
    );
    await vi.advanceTimersByTimeAsync(400_000);
    const metrics = parse(toPrometheus(recorder.take()));
    const value = (name: string, labels = ""): unknown => metrics.get(name)?.samples.get(name + labels);
    expect(value("bough_scopes_alive", '{kind="task"}')).toBe(1);
    expect(value("bough_scopes_alive", '{kind="createScope"}')).toBe(1);
    expect(value("bough_scopes_started_total", '{kind="task"}')).toBe(5);
    expect(value("bough_scopes_settled_total", '{kind="task",status="succeeded"}')).toBe(3);
    expect(value("bough_scopes_settled_total", '{kind="task",status="cancelled"}')).toBe(1);
    expect(value("bough_scopes_settled_total", '{kind="withScope",status="failed"}')).toBe(1);
    expect(value("bough_cancellations_total", '{reason="explicit"}')).toBe(1);
    expect(value("bough_cancellations_total", '{reason="failure"}')).toBe(1);
    expect(value("bough_recording_dropped_total")).toBe(0);
    const life = metrics.get("bough_scope_life_seconds") as Metric;
    checkHistogram(life, "bough_scope_life_seconds", "task");
    const below = (le: string): unknown =>
      life.samples.get(`bough_scope_life_seconds_bucket{kind="task",le="${le}"}`);
    expect([below("0.001"), below("0.025"), below("0.05"), below("300"), below("+Inf")]).toEqual([
      2, 2, 3, 3, 4,
    ]);
    expect(life.samples.get('bough_scope_life_seconds_sum{kind="task"}')).toBeCloseTo(400.031, 6);
  });

  it("never decreases, also when the events have been overwritten", async () => {
    using recorder = createRecorder({ bytes: 65_536 });
    const counts: unknown[] = [];
    for (let round = 1; round <= 3; round++) {
      await withScope((scope) => {
        for (let job = 0; job < 2_000; job++) spawn(scope, function job() {});
      });
      const metrics = parse(toPrometheus(recorder.take()));
      counts.push(
        metrics.get("bough_scopes_started_total")?.samples.get('bough_scopes_started_total{kind="task"}'),
      );
    }
    expect(counts).toEqual([2_000, 4_000, 6_000]);
  });

  it("is valid when nothing has happened", () => {
    using recorder = createRecorder();
    expect(
      parse(toPrometheus(recorder.take())).get("bough_stuck_total")?.samples.get("bough_stuck_total"),
    ).toBe(0);
  });

  it("writes labels that can be read, whatever a kind is called", () => {
    using recorder = createRecorder();
    const recording = recorder.take();
    const kinds = {
      'a "quoted" \\ kind\nof two lines': {
        started: 1,
        settled: { succeeded: 1, failed: 0, cancelled: 0 },
        lives: [1],
        lifeSum: 0,
      },
    };
    const text = toPrometheus({
      ...recording,
      alive: [],
      dropped: recording.dropped,
      totals: { ...recording.totals, kinds },
    });
    expect([...(parse(text).get("bough_scopes_started_total")?.samples.keys() ?? [])]).toEqual([
      'bough_scopes_started_total{kind="a \\"quoted\\" \\\\ kind\\nof two lines"}',
    ]);
  });
});
