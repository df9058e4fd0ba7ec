import { channel } from "node:diagnostics_channel";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { deferred, rejection } from "../../test/support/deferred.js";
import { scriptFolder } from "../../test/support/run-script.js";
import { untilCancelled } from "../../test/support/until-cancelled.js";
import { BoughError, createScope, sleep, spawn, supervise, withScope, type Scope } from "../index.js";
import { expectCollected } from "../testing/index.js";
import {
  createRecorder,
  recordedScopes,
  type RecordedEvent,
  type Recorder,
  type Recording,
} from "./index.js";

function start(options?: { bytes?: number }): Recorder {
  const recorder = createRecorder(options);
  onTestFinished(() => recorder.stop());
  return recorder;
}

const lines = (events: Iterable<RecordedEvent>): string[] =>
  Array.from(events, ({ type, name, kind, status = "", detail = "" }) =>
    [type, name, kind, status, detail].filter((part) => part !== "").join(" "),
  );

const statuses = (recording: Recording): string[] =>
  recordedScopes(recording).map(({ name, status }) => `${name} ${status}`);

describe("createRecorder()", () => {
  it("records starts, ends and cancellations of every kind of scope, in their order", async () => {
    const recorder = start();
    await withScope({ name: "root" }, async (scope) => {
      await spawn(scope, async function good() {});
      const bad = withScope(scope, { name: "inner" }, (own) =>
        spawn(own, function bad() {
          throw new TypeError("secret");
        }),
      );
      expect(await rejection(bad)).toBeInstanceOf(TypeError);
      const cancelled = spawn(scope, untilCancelled);
      cancelled.cancel("secret");
      expect(await rejection(cancelled)).toMatchObject({ kind: "explicit" });
    });
    const recording = recorder.take();
    expect(lines(recording.events)).toEqual([
      "start root withScope",
      "start good task",
      "end good task succeeded",
      "start inner withScope",
      "start bad task",
      "cancel inner failure",
      "end bad task failed TypeError",
      "end inner withScope failed TypeError",
      "start untilCancelled task",
      "cancel untilCancelled explicit",
      "end untilCancelled task cancelled explicit",
      "end root withScope succeeded",
    ]);
    expect(recording.dropped).toEqual({ events: 0, names: 0 });
    expect(recording.from).toBe(0);
    const scopes = recordedScopes(recording);
    const root = scopes.find(({ name }) => name === "root");
    expect(scopes.find(({ name }) => name === "good")?.parent).toBe(root?.id);
    expect(root?.parent).toBe(undefined);
  });

  it("measures in parts of a millisecond, and its times never decrease", async () => {
    const recorder = start();
    await withScope((scope) => spawn(scope, async function job() {}));
    const times = Array.from(recorder.take().events, ({ time }) => time);
    expect(times.toSorted((a, b) => a - b)).toEqual(times);
    expect(times.some((time) => !Number.isInteger(time))).toBe(true);
    expect(times.every((time) => time >= 0 && time <= recorder.take().takenAt)).toBe(true);
  });

  it("contains the scopes that were alive at the start, and those that are alive at take()", async () => {
    const before = createScope({ name: "before" });
    spawn(before, untilCancelled, { name: "old task" });
    const recorder = start();
    spawn(before, untilCancelled, { name: "new task" });
    const recording = recorder.take();
    expect(lines(recording.events)).toEqual([
      "found before handle",
      "found old task task",
      "start new task task",
    ]);
    expect(lines(recording.alive)).toEqual([
      "alive before handle",
      "alive old task task",
      "alive new task task",
    ]);
    expect(statuses(recording)).toEqual(["before running", "old task running", "new task running"]);
    before.cancel();
    await before.close();
    // The ends of those that started before are not published: nobody knows when it was.
    expect(statuses(recorder.take())).toEqual(["before unknown", "old task unknown", "new task cancelled"]);
  });

  it("reports stuck and dropped scopes, with the call site of the cancellation if it is known", async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const recorder = start();
    const gate = deferred();
    const scope = createScope({ name: "root", grace: 10, onError() {} });
    spawn(scope, () => gate.promise);
    scope.cancel();
    await vi.advanceTimersByTimeAsync(10);
    gate.resolve();
    await scope.close().catch(() => {});
    const { events, totals } = recorder.take();
    expect(lines(events)).toContain("stuck root 1");
    expect(totals).toMatchObject({ stuck: 1, cancelled: { explicit: 1 } });
  });

  it("uses the fake clock of a test for ages", async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const recorder = start();
    const done = withScope({ name: "root" }, (scope) => sleep(scope, 1_234));
    await vi.advanceTimersByTimeAsync(1_234);
    await done;
    const { events, totals } = recorder.take();
    expect(Array.from(events).at(-1)).toMatchObject({ type: "end", age: 1_234 });
    expect(totals.kinds["withScope"]?.lifeSum).toBe(1.234);
  });

  it("keeps its counts for its whole life, and the newest events that fit into its bytes", async () => {
    const recorder = start({ bytes: 65_536 });
    const capacity = (65_536 * 7) / 8 / 32;
    for (let round = 0; round < 40; round++)
      await withScope({ name: `round ${round}` }, (scope) => {
        for (let job = 0; job < 50; job++) spawn(scope, function job() {});
      });
    const { events, dropped, totals, from } = recorder.take();
    const kept = [...events];
    expect(kept).toHaveLength(capacity);
    expect(dropped.events).toBe(40 * 102 - capacity);
    expect(kept.at(-1)).toMatchObject({ type: "end", name: "round 39" });
    expect(kept[0]?.time).toBe(from);
    expect(from).toBeGreaterThan(0);
    expect(totals.kinds["task"]).toMatchObject({ started: 2_000, settled: { succeeded: 2_000 } });
    expect(totals.kinds["task"]?.lives.reduce((sum, count) => sum + count)).toBe(2_000);
  });

  it("contains a live scope whose start was overwritten, and its age when it ends", async () => {
    const recorder = start({ bytes: 65_536 });
    const old = createScope({ name: "old" });
    onTestFinished(() => old.close());
    const task = spawn(old, untilCancelled, { name: "old task" });
    const overwrite = (): void => {
      for (let job = 0; job < 2_000; job++) spawn(old, function job() {});
    };
    overwrite();
    expect(statuses(recorder.take())).toEqual(expect.arrayContaining(["old running", "old task running"]));
    task.cancel();
    await rejection(task);
    const ended = recordedScopes(recorder.take()).find(({ name }) => name === "old task");
    expect(ended).toMatchObject({ status: "cancelled", reason: "explicit" });
    expect(ended?.start).toBeLessThan(recorder.take().from);
    overwrite();
    expect(statuses(recorder.take())).not.toContain("old task cancelled");
  });

  it("keeps the names of the last events, however many there were before", async () => {
    const recorder = start({ bytes: 65_536 });
    const runs = 3_000;
    for (let index = 0; index < runs; index++)
      await withScope({ name: `order ${index} of a customer with a long name` }, () => {});
    const recording = recorder.take();
    const names = Array.from(recording.events, ({ name }) => name);
    // 8 KiB are about 56 such names. What does not fit is a pattern, until names that are not used any more are dropped.
    expect(recording.dropped.names).toBeGreaterThan(0);
    expect(
      new Set(names.filter((name) => name !== "order # of a customer with a long name")).size,
    ).toBeGreaterThan(10);
    expect(names.every((name) => /^order (\d+|#) of a customer with a long name$/.test(name))).toBe(true);
  });

  it("keeps the numbers of supervised and retried work apart by their scopes", async () => {
    const recorder = start();
    let failures = 2;
    await withScope({ name: "root" }, async (scope) => {
      await supervise(
        scope,
        function stubborn() {
          if (failures-- > 0) throw new Error("again");
        },
        { minDelay: 0, maxDelay: 0 },
      );
    });
    expect(statuses(recorder.take())).toEqual([
      "root succeeded",
      "stubborn succeeded",
      "#1 failed",
      "#2 failed",
      "#3 succeeded",
    ]);
  });

  it("survives errors whose name cannot be read, and values that are not errors", async () => {
    const recorder = start();
    const hostile = {
      get name(): string {
        throw new Error("no name");
      },
    };
    const thrown: unknown[] = [hostile, 7, null, { name: 8 }, "text"];
    for (const error of thrown)
      await rejection(
        withScope({ name: "root" }, () => {
          throw error;
        }),
      );
    const ends = recordedScopes(recorder.take());
    expect(ends.map(({ error }) => error)).toEqual(["Error", "number", "object", "Error", "string"]);
  });

  it("records nothing after stop(), and leaves no subscriber", async () => {
    const recorder = createRecorder();
    await withScope({ name: "recorded" }, () => {});
    recorder.stop();
    recorder.stop();
    expect(recorder.isRecording).toBe(false);
    await withScope({ name: "later" }, () => {});
    expect(statuses(recorder.take())).toEqual(["recorded succeeded"]);
    for (const name of [
      "scope:open",
      "scope:cancel",
      "scope:close",
      "task:start",
      "task:settle",
      "orphan",
      "stuck",
    ])
      expect(channel(`bough:${name}`).hasSubscribers).toBe(false);
  });

  it("stops when a `using` block ends", () => {
    let recorder: Recorder;
    {
      using own = createRecorder();
      recorder = own;
      expect(own.isRecording).toBe(true);
    }
    expect(recorder.isRecording).toBe(false);
  });

  it("keeps no scope, error or result alive", async () => {
    start();
    await expectCollected(async () => {
      const secret = new Error("kept?");
      let view: Scope | undefined;
      await rejection(
        withScope((scope) => {
          view = scope;
          throw secret;
        }),
      );
      return [view as object, secret];
    });
  });

  it("does not keep the process alive", async () => {
    const scripts = await scriptFolder("recorder");
    onTestFinished(() => scripts.remove());
    expect(await scripts.run("createRecorder(); log('end');")).toMatchObject({ code: 0, stdout: "end\n" });
  });

  it.each([
    [65_535, RangeError],
    [0, RangeError],
    [-1, RangeError],
    [Number.NaN, RangeError],
    [Infinity, RangeError],
    [100_000.5, RangeError],
    [2 ** 30 + 1, RangeError],
    ["4 MB", TypeError],
    [null, TypeError],
  ])("refuses %o bytes, and names the range", (bytes, type) => {
    const create = (): unknown => createRecorder({ bytes: bytes as number });
    expect(create).toThrow(type);
    expect(create).toThrow(/^createRecorder: bytes must be a (whole )?number.*, got /);
  });

  it("throws an error if the runtime has no channels", () => {
    vi.stubGlobal("process", { getBuiltinModule: () => undefined });
    let thrown: unknown;
    try {
      createRecorder();
    } catch (error) {
      thrown = error;
    } finally {
      vi.unstubAllGlobals();
    }
    expect(thrown).toBeInstanceOf(BoughError);
    expect(thrown).toMatchObject({
      code: "BOUGH_RECORDING",
      message: expect.stringMatching(/diagnostics_channel/),
    });
  });
});
