import assert from "node:assert/strict";
import type { JobState } from "../engine.js";
import { RemoteLostError } from "../errors.js";
import { monotonicNow } from "../time.js";
import { errorOf, outcomeOf, type CaseDraft, type Harness } from "./harness.js";

function assertLost(error: unknown, why: RemoteLostError["why"]): void {
  assert(error instanceof RemoteLostError, `expected a RemoteLostError, got ${String(error)}`);
  assert.equal(error.why, why);
}

/** No two runs of one job at once. */
function assertNeverBeside(harness: Harness, tag: string): void {
  let running = 0;
  for (const { what } of harness.eventsOf(tag)) {
    if (what === "start") running += 1;
    if (what === "end") running -= 1;
    assert(running <= 1, `${tag} ran beside itself: ${JSON.stringify(harness.eventsOf(tag))}`);
  }
}

/** Cases with faults: a process that is cut off, a server that stops, hints and data that are lost. */
export const faultCases: readonly CaseDraft[] = [
  {
    name: "an owner that is cut off: its job is cancelled within the lease, and its task then rejects",
    needs: ["cut"],
    async run(harness) {
      await harness.worker();
      const { scope, remote } = await harness.owner();
      const task = remote.spawn(scope, harness.job, { tag: "a", ms: 60_000 });
      await harness.waitFor("a", "start");
      const cutAt = monotonicNow();
      const connect = await harness.injectFault(() => harness.subject.cut?.("owner") as never);
      const signal = await harness.waitFor("a", "signal");
      assert(signal.at - cutAt <= harness.lease, `${signal.at - cutAt} ms after the cut`);
      assert.equal(signal.kind, "disconnected");
      const error = await errorOf(task);
      const [end] = harness.eventsOf("a", "end");
      assertLost(error, "lease");
      assert(end !== undefined, "the task has settled before the job has ended");
      await connect();
      assert.equal(await remote.spawn(scope, harness.job, { tag: "b" }), "b:1");
      assert.equal(harness.eventsOf("a", "start").length, 1);
    },
  },
  {
    name: "the queued jobs of an owner that is gone are dropped when they are fetched",
    needs: ["cut"],
    async run(harness) {
      const { scope, remote } = await harness.owner();
      const tasks = Array.from({ length: 5 }, (_, n) =>
        remote.spawn(scope, harness.job, { tag: "a" }, { id: `queued-${n}` }),
      );
      for (const n of tasks.keys()) await harness.waitUntilStored(scope, `queued-${n}`);
      await harness.injectFault(() => harness.subject.cut?.("owner") as never);
      for (const task of tasks) assertLost(await errorOf(task), "lease");
      const other = await harness.owner("other");
      await harness.worker();
      assert.equal(await other.remote.spawn(other.scope, harness.job, { tag: "b" }), "b:1");
      await harness.pause(100);
      assert.deepEqual(harness.eventsOf("a"), []);
    },
  },
  {
    name: "a worker that is cut off cancels its job before another one starts it",
    needs: ["cut"],
    async run(harness) {
      await harness.worker("first");
      const { scope, remote } = await harness.owner();
      const task = remote.spawn(scope, harness.job, { tag: "a", ms: 2 * harness.workerLease });
      await harness.waitFor("a", "start");
      await harness.worker("second");
      const cutAt = monotonicNow();
      await harness.injectFault(() => harness.subject.cut?.("first") as never);
      assert.match(await task, /^a:/);
      const [signal] = harness.eventsOf("a", "signal");
      assert.equal(signal?.kind, "disconnected");
      assert(signal.at - cutAt <= Math.max(harness.workerLease, harness.lease));
      assert.equal(harness.eventsOf("a", "start")[1]?.worker, "second");
      assertNeverBeside(harness, "a");
    },
  },
  {
    name: "with onWorkerLost fail a job runs at most once, and its task rejects when its worker is lost",
    needs: ["cut"],
    async run(harness) {
      await harness.worker("first");
      const { scope, remote } = await harness.owner();
      const task = remote.spawn(scope, harness.job, { tag: "a", ms: 60_000 }, { onWorkerLost: "fail" });
      await harness.waitFor("a", "start");
      await harness.worker("second");
      await harness.injectFault(() => harness.subject.cut?.("first") as never);
      assertLost(await errorOf(task), "worker");
      assert.equal(harness.eventsOf("a", "start").length, 1);
    },
  },
  {
    name: "a job that is being cancelled when its only worker is lost settles, without any worker",
    needs: ["cut"],
    async run(harness) {
      await harness.worker();
      const { scope, remote } = await harness.owner();
      const cleanup = harness.workerLease + harness.lease + (harness.subject.lostWithin ?? 3_000);
      const task = remote.spawn(scope, harness.job, { tag: "a", ms: 60_000, cleanup });
      await harness.waitFor("a", "start");
      await harness.injectFault(() => harness.subject.cut?.("worker") as never);
      const began = monotonicNow();
      task.cancel();
      const error = await errorOf(task);
      assert.equal((error as { kind?: string }).kind, "explicit");
      const took = monotonicNow() - began;
      assert(took <= cleanup, `it took ${took} ms`);
    },
  },
  {
    name: "the late result of a worker whose lock ran out is refused",
    needs: ["cut"],
    async run(harness) {
      await harness.worker("first");
      const { scope, remote } = await harness.owner();
      const task = remote.spawn(scope, harness.job, { tag: "a", ignoresCancellation: true }, { id: "late" });
      await harness.waitFor("a", "start");
      await harness.worker("second");
      const connect = await harness.injectFault(() => harness.subject.cut?.("first") as never);
      await harness.waitFor("a", "start", 2);
      await connect();
      harness.endIgnoringAttempt();
      assert.equal(await task, "a:2");
      await harness.waitFor("a", "end", 2);
      assert.equal(await remote.attach(scope, { queue: harness.job.queue, id: "late" }), "a:2");
    },
  },
  {
    name: "an outage that is shorter than half of the lease loses nothing and repeats nothing",
    needs: ["stop"],
    async run(harness) {
      const lease = 3 * harness.lease; // stopping and starting a server takes some time, too
      await harness.worker("worker", { lease });
      const { scope, remote } = await harness.owner("owner", { lease });
      const tasks = Array.from({ length: 20 }, (_, n) =>
        remote.spawn(scope, harness.job, { tag: `n${n}`, ms: lease / 4 + (n * lease) / 40 }),
      );
      await Promise.all(tasks.map((_, n) => harness.waitFor(`n${n}`, "start")));
      const start = await harness.injectFault(() => harness.subject.stop?.() as never);
      const during = remote.spawn(scope, harness.job, { tag: "during" });
      await harness.pause(lease * 0.3);
      await start();
      assert.deepEqual(
        await Promise.all(tasks),
        Array.from({ length: 20 }, (_, n) => `n${n}:1`),
      );
      assert.match(await during, /^during:/);
      assert.equal(harness.events.filter(({ what, tag }) => what === "start" && tag !== "during").length, 20);
    },
  },
  {
    name: "an outage that is longer than the lease ends the jobs, then their tasks, and a new job works afterwards",
    needs: ["stop"],
    async run(harness) {
      await harness.worker();
      const { scope, remote } = await harness.owner();
      const task = remote.spawn(scope, harness.job, { tag: "a", ms: 60_000 });
      await harness.waitFor("a", "start");
      const start = await harness.injectFault(() => harness.subject.stop?.() as never);
      assertLost(await errorOf(task), "lease");
      assert.equal(harness.eventsOf("a", "end").length, 1);
      await start();
      assert.match(await remote.spawn(scope, harness.job, { tag: "b" }), /^b:/);
      await harness.pause(harness.workerLease + 500);
      assert.equal(harness.eventsOf("a", "start").length, 1);
    },
  },
  {
    name: "results and cancellations arrive without any hint, by the heartbeats",
    needs: ["dropHints"],
    async run(harness) {
      await harness.worker();
      const { scope, remote } = await harness.owner();
      const restore = [
        await harness.injectFault(() => harness.subject.dropHints?.("owner") as never),
        await harness.injectFault(() => harness.subject.dropHints?.("worker") as never),
      ];
      assert.equal(await remote.spawn(scope, harness.job, { tag: "a" }), "a:1");
      const task = remote.spawn(scope, harness.job, { tag: "b", ms: 60_000 });
      await harness.waitFor("b", "start");
      task.cancel();
      await errorOf(task);
      assert.equal(harness.eventsOf("b", "signal")[0]?.kind, "explicit");
      for (const undo of restore) await undo();
    },
  },
  {
    name: "a job that the engine has lost is missing, and the task rejects within two heartbeats",
    needs: ["wipe"],
    async run(harness) {
      const { scope, remote } = await harness.owner();
      const failure = errorOf(remote.spawn(scope, harness.job, { tag: "a" }, { id: "wiped" }));
      await harness.waitUntilStored(scope, "wiped");
      await harness.subject.wipe?.();
      const began = monotonicNow();
      const error = await failure;
      assert(error instanceof RemoteLostError, String(error));
      assert(error.why === "missing" || error.why === "lease", error.why);
      assert(monotonicNow() - began <= 1.2 * harness.lease + (harness.subject.lostWithin ?? 3_000));
    },
  },
  {
    name: "a cancellation of many jobs in one scope settles all, wherever they are",
    async run(harness) {
      await harness.worker("worker", { concurrency: 10 });
      const { scope, remote } = await harness.owner();
      const tasks = Array.from({ length: harness.subject.jobs ?? 300 }, (_, n) =>
        remote.spawn(scope, harness.job, { tag: `n${n}`, ms: 60_000 }),
      );
      while (harness.events.length === 0) await harness.pause(2); // an engine may start any of them first
      for (const task of tasks) task.cancel();
      const outcomes = await Promise.all(tasks.map((task) => outcomeOf(task)));
      assert(outcomes.every(({ error }) => (error as { kind?: string } | undefined)?.kind === "explicit"));
      const starts = harness.events.filter(({ what }) => what === "start").length;
      assert.equal(harness.events.filter(({ what }) => what === "end").length, starts);
      assert(starts <= 20, `${starts} jobs were started`);
    },
  },
  {
    name: "the port: a lease never moves back, is not revived, and can be given up",
    async run(harness) {
      const { scope } = await harness.owner();
      const connection = await (await harness.subject.engine("port")).open(scope);
      const id = `lease-${harness.job.name}`;
      const { now } = await connection.heartbeat({});
      const beat = async (until: number, fresh = false): Promise<boolean | undefined> =>
        (await connection.heartbeat({ owner: { id, until, fresh } })).owned;
      assert.equal(await beat(now + 5_000), false, "a lease that does not exist was revived");
      assert.equal(await beat(now + 5_000, true), true);
      assert.equal(await beat(now + 2_000), true);
      assert.equal(await beat(now + 400), true);
      await harness.pause(600);
      assert.equal(await beat(now + 6_000), true, "a renewal moved the lease back");
      await beat(0);
      assert.equal(await beat(now + 9_000), false, "a lease that was given up was revived");
    },
  },
  {
    name: "the port: submit is idempotent, and cancel answers with the state after the note",
    async run(harness) {
      const { scope } = await harness.owner();
      const connection = await (await harness.subject.engine("port")).open(scope);
      const ref = { queue: harness.job.queue, id: "f0000000-0000-4000-8000-000000000003" };
      const rest = {
        onWorkerLost: "retry",
        lostRetries: 3,
        attempts: 1,
        keep: 60_000,
        chosen: true,
      } as const;
      const envelope = {
        v: 1,
        ...ref,
        name: harness.job.name,
        body: '{"tag":"p"}',
        owner: "me",
        lease: 1_000,
        ...rest,
      } as const;
      assert.deepEqual(await connection.submit([envelope]), [{ owner: "me" }]);
      assert.deepEqual(await connection.submit([{ ...envelope, owner: "you" }]), [{ owner: "me" }]);
      const ask = async (): Promise<JobState | undefined> =>
        (await connection.heartbeat({ ask: [ref] })).states[0];
      assert.deepEqual(await ask(), { at: "idle" });
      const reason = { kind: "shutdown", path: "a/b" } as const;
      const unknown = { ...ref, id: "f0000000-0000-4000-8000-000000000004" };
      const [state, missing] = await connection.cancel([
        { ...ref, reason, keep: 60_000 },
        { ...unknown, reason, keep: 60_000 },
      ]);
      for (const each of [state, missing])
        assert(each !== undefined && !("at" in each && each.at === "running"), JSON.stringify(each));
      await harness.worker();
      await harness.pause(100);
      assert.deepEqual(harness.eventsOf("p"), []);
      const after = await ask();
      assert(
        after !== undefined && "outcome" in after && after.outcome.t === "cancelled",
        JSON.stringify(after),
      );
    },
  },
];
