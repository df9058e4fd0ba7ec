import { expect, it } from "vitest";
import { judge } from "./judge.js";
import type { Line } from "./plan.js";

/** A worker is stopped while it runs a job, another one starts the job, and the first goes on for 5 ms. */
function scene(gaps: readonly Line[]): readonly Line[] {
  const job = { n: 1, attempt: 1 };
  return [
    { at: 0, process: "owner-1", what: "spawn", n: 1 },
    { at: 10, process: "worker-1", what: "start", ...job },
    { at: 20, process: "worker-1", what: "stop" },
    { at: 5_000, process: "worker-2", what: "start", ...job, attempt: 2 },
    { at: 5_100, process: "worker-1", what: "continue" },
    { at: 5_150, process: "worker-1", what: "end", ...job },
    { at: 5_900, process: "worker-2", what: "end", ...job, attempt: 2 },
    { at: 5_910, process: "owner-1", what: "settled", n: 1, outcome: "done 1" },
    ...gaps,
  ];
}

it("the check tells a job that ran twice at the same time from a job whose process was suspended", () => {
  const awake = judge(scene([]), 3_000, 0);
  expect(awake).toMatchObject({ beside: 1, longestBeside: 50, longestBesideTurning: 150 });
  const asleep = judge(scene([{ at: 5_145, process: "worker-1", what: "gap", since: 19 }]), 3_000, 0);
  expect(asleep).toMatchObject({ beside: 1, longestBeside: 50, longestBesideTurning: 5 });
});

it("the check handles a process that was suspended thousands of times", () => {
  const gaps = Array.from({ length: 5_000 }, (_, n): Line => {
    return { at: 21 + n + 0.5, process: "worker-1", what: "gap", since: 21 + n };
  });
  expect(judge(scene(gaps), 3_000, 0).longestBesideTurning).toBe(150 - 21 * 0.5);
});
