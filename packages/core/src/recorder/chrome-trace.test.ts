import * as fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";
import { traceFaults } from "../../test/support/chrome-trace.js";
import { deferred, flush, rejection } from "../../test/support/deferred.js";
import { untilCancelled } from "../../test/support/until-cancelled.js";
import { createScope, sleep, spawn, withScope, type Scope } from "../index.js";
import {
  createRecorder,
  decodeRecording,
  encodeRecording,
  toChromeTrace,
  type ChromeTrace,
} from "./index.js";

async function trace(work: () => unknown, bytes?: number): Promise<ChromeTrace> {
  using recorder = createRecorder(bytes === undefined ? {} : { bytes });
  await work();
  const made = toChromeTrace(recorder.take());
  expect(traceFaults(made)).toEqual([]);
  return made;
}

/** The slices as lines, indented as they are nested; on tracks of their own with a star. */
function drawing({ traceEvents }: ChromeTrace): string[] {
  const depths = new Map<string, number>();
  const lines: string[] = [];
  for (const { name, ph, tid, id } of traceEvents) {
    const track = id === undefined ? `${tid}` : `*${id}`;
    const depth = depths.get(track) ?? 0;
    const isStart = ph === "B" || ph === "b";
    if (isStart) lines.push(`${track}${"  ".repeat(depth)} ${name}`);
    if (isStart) depths.set(track, depth + 1);
    else if (ph === "E" || ph === "e") depths.set(track, depth - 1);
    else if (ph !== "M") lines.push(`${track}${"  ".repeat(depth)} (${name})`);
  }
  return lines;
}

const tracks = ({ traceEvents }: ChromeTrace): unknown[] =>
  traceEvents.filter(({ name }) => name === "thread_name").map(({ args }) => args?.["name"]);

describe("toChromeTrace()", () => {
  it("nests what runs one after the other in the slice of its parent", async () => {
    const made = await trace(() =>
      withScope({ name: "root" }, async (scope) => {
        await spawn(scope, async function first(own) {
          await spawn(own, async function inner() {});
        });
        await spawn(scope, async function second() {});
      }),
    );
    expect(drawing(made)).toEqual(["1 root", "1   first", "1     inner", "1   second"]);
    expect(tracks(made)).toEqual(["root"]);
  });

  it("gives concurrent siblings separate tracks with their descendants, as few as possible", async () => {
    const made = await trace(() =>
      withScope({ name: "root" }, async (scope) => {
        for (let round = 0; round < 2; round++) {
          const gates = [deferred(), deferred(), deferred()];
          const tasks = gates.map((gate, index) =>
            spawn(
              scope,
              async (own) => {
                await flush();
                await spawn(own, async function inner() {});
                await gate.promise;
              },
              { name: `task ${index}` },
            ),
          );
          await flush();
          await flush();
          for (const gate of gates) gate.resolve();
          for (const task of tasks) await task;
        }
      }),
    );
    const round = ["1   task 0", "*1 task 1", "*2 task 2", "1     inner", "*1   inner", "*2   inner"];
    expect(drawing(made)).toEqual(["1 root", ...round, ...round]);
  });

  it("gives roots that run at the same time a track each, and uses a track again", async () => {
    const made = await trace(async () => {
      for (let round = 0; round < 3; round++)
        await Promise.all([1, 2].map((order) => withScope({ name: `order ${order}` }, async () => flush())));
      await withScope({ name: "report" }, () => {});
    });
    expect(tracks(made).toSorted()).toEqual(["order #", "order # (2)", "report"]);
  });

  it("shows a cancellation with its reason where it began, and how everything has ended", async () => {
    const made = await trace(async () => {
      const scope = createScope({ name: "root" });
      const task = spawn(scope, untilCancelled, { name: "task" });
      scope.cancel("secret");
      await rejection(task);
      await scope.close();
      await rejection(withScope({ name: "late", timeout: 1 }, (own) => sleep(own, 60_000)));
      await rejection(
        withScope({ name: "bad" }, () => {
          throw new TypeError("secret");
        }),
      );
    });
    expect(drawing(made)).toEqual(
      expect.arrayContaining(["1     (cancel: explicit)", "2   (cancel: deadline)"]),
    );
    const ends = made.traceEvents.filter(({ ph }) => ph === "E").map(({ name, args }) => ({ name, ...args }));
    expect(ends).toEqual([
      { name: "task", status: "cancelled", reason: "explicit" },
      { name: "root", status: "cancelled", reason: "explicit" },
      { name: "late", status: "cancelled", reason: "deadline" },
      { name: "bad", status: "failed", error: "TypeError", reason: "failure" },
    ]);
    expect(JSON.stringify(made)).not.toContain("secret");
  });

  it("starts and ends the slices of longer-lived scopes with the recording", async () => {
    const scope = createScope({ name: "root" });
    onTestFinished(() => scope.close());
    spawn(scope, untilCancelled, { name: "before" });
    const made = await trace(() => void spawn(scope, untilCancelled, { name: "within" }));
    expect(drawing(made)).toEqual(["1 root", "1   before", "*1 within"]);
    const ends = made.traceEvents.filter(({ ph }) => ph === "E" || ph === "e");
    expect(ends.map(({ args }) => args?.["status"])).toEqual(["running", "running", "running"]);
    expect(new Set(ends.map(({ ts }) => ts)).size).toBe(1);
  });

  it("is a valid trace when the first part of the recording was overwritten", async () => {
    const made = await trace(
      () =>
        withScope({ name: "root" }, async (scope) => {
          for (let round = 0; round < 30; round++)
            await withScope(scope, { name: "round" }, (own) => {
              for (let job = 0; job < 50; job++) spawn(own, async () => flush(), { name: "job" });
            });
        }),
      65_536,
    );
    expect(made.otherData).toMatchObject({ dropped: { events: expect.any(Number) as number } });
    expect(drawing(made)[0]).toBe("1 root");
  });

  it("has a hundred thousand slices, in a file, without a stack overflow", async () => {
    using recorder = createRecorder({ bytes: 2 ** 23 });
    await withScope({ name: "root" }, (scope) => {
      for (let job = 0; job < 100_000; job++) spawn(scope, function job() {});
    });
    const made = toChromeTrace(decodeRecording(encodeRecording(recorder.take())));
    expect(made.traceEvents.filter(({ ph }) => ph === "B" || ph === "b")).toHaveLength(100_001);
    expect(made.traceEvents.length).toBeGreaterThan(200_000);
  });

  it(
    "is a valid trace, whatever runs at the same time, fails, or is cancelled",
    { timeout: 60_000 },
    async () => {
      interface Plan {
        readonly turns: number;
        readonly end: "ok" | "throw" | "cancel";
        readonly isDaemon: boolean;
        readonly children: readonly Plan[];
      }
      const planWith = (children: fc.Arbitrary<Plan[]>): fc.Arbitrary<Plan> =>
        fc.record({
          turns: fc.nat(3),
          end: fc.constantFrom("ok" as const, "ok" as const, "throw" as const, "cancel" as const),
          isDaemon: fc.boolean(),
          children,
        });
      let plan = planWith(fc.constant([]));
      for (let depth = 0; depth < 3; depth++) plan = planWith(fc.array(plan, { maxLength: 3 }));
      const run = async (scope: Scope, { turns, end, children }: Plan): Promise<void> => {
        for (const [index, child] of children.entries()) {
          spawn(scope, (own) => run(own, child), { name: `child ${index}`, daemon: child.isDaemon });
          if (index % 2 === 1) await flush();
        }
        for (let turn = 0; turn < turns; turn++) await flush();
        if (end === "throw") throw new Error("planned");
        if (end === "cancel") scope.cancel();
      };
      await fc.assert(
        fc.asyncProperty(fc.array(plan, { minLength: 1, maxLength: 4 }), async (plans) => {
          await trace(() =>
            Promise.allSettled(plans.map((each) => withScope({ name: "root" }, (scope) => run(scope, each)))),
          );
        }),
        { numRuns: 60 },
      );
    },
  );
});

describe("the check of these tests", () => {
  it.each([
    ["an end without a beginning", [{ ph: "E", ts: 1 }], "not the innermost"],
    ["a beginning without an end", [{ ph: "B", ts: 1 }], "no end"],
    [
      "times that decrease",
      [
        { ph: "B", ts: 2 },
        { ph: "E", ts: 1 },
      ],
      "earlier",
    ],
    ["an asynchronous slice without an id", [{ ph: "b", ts: 1 }], "no cat or id"],
    ["an unknown phase", [{ ph: "Q", ts: 1 }], "unknown phase"],
  ])("finds %s", (_, events, fault) => {
    const name = { name: "thread_name", ph: "M", pid: 1, tid: 1, args: { name: "track" } };
    const traceEvents = [name, ...events.map((event) => ({ name: "a", pid: 1, tid: 1, ...event }))];
    expect(traceFaults({ traceEvents }).join()).toContain(fault);
  });
});
