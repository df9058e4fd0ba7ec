import { sleep, spawn, withScope } from "bough";
import { withVirtualClock } from "bough/testing";
import { expect, it } from "vitest";
import { cron } from "./cron.js";

const at = (iso: string): number => Date.parse(iso);

it("runs the job at its times, skips the times that a long run has missed, and goes on after a failure", async () => {
  const runs: string[] = [];
  const errors: unknown[] = [];
  const failure = new Error("no route");
  await withVirtualClock(
    (clock) =>
      withScope(clock, async (scope) => {
        const task = spawn(scope, (own) =>
          cron(
            own,
            "0 */5 * * * *",
            async (run) => {
              runs.push(new Date().toISOString().slice(11, 19));
              if (runs.length === 1) throw failure;
              if (runs.length === 2) await sleep(run, 6 * 60_000); // longer than the timeout of a run
              if (runs.length === 4) scope.cancel();
            },
            (error) => errors.push(error),
          ),
        );
        await task;
      }).catch(() => {}),
    { start: at("2026-01-01T00:00:00Z") },
  );
  expect(runs).toEqual(["00:05:00", "00:10:00", "00:20:00", "00:25:00"]);
  expect(errors[0]).toBe(failure);
  expect(String(errors[1])).toBe("TimeoutError: timed out after 300000 ms");
});

it("stops between two runs", async () => {
  await withScope(async (scope) => {
    spawn(scope, (task) => cron(task, "0 0 1 1 *", () => {}, console.error), { daemon: true });
  });
});
