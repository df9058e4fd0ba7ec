import assert from "node:assert/strict";
import type { Envelope, JobState } from "../engine.js";
import { RemoteError, RemoteLostError } from "../errors.js";
import { monotonicNow } from "../time.js";
import { errorOf, type CaseDraft, type Harness, type Undo } from "./harness.js";

/** NUL, half of a surrogate pair, and what JSON has to escape: Postgres refuses the first two. */
const UNUSUAL_TEXT = `a\u0000b\ud83d"\\u0000\u2028`;

/** Twenty jobs, of which some end during the fault and some after it: each has its result, and was started once. */
async function survives(harness: Harness, fault: () => Undo | Promise<Undo>): Promise<void> {
  const lease = 3 * harness.lease;
  await harness.worker("worker", { lease });
  const { scope, remote } = await harness.owner("owner", { lease });
  const tasks = Array.from({ length: 20 }, (_, n) =>
    remote.spawn(scope, harness.job, { tag: `n${n}`, ms: lease / 4 + (n * lease) / 40 }),
  );
  await Promise.all(tasks.map((_, n) => harness.waitFor(`n${n}`, "start")));
  const undo = await harness.injectFault(fault);
  const during = remote.spawn(scope, harness.job, { tag: "during" });
  await harness.pause(lease * 0.3);
  await undo();
  const results = await Promise.all(tasks);
  assert.deepEqual(
    results,
    results.map((_, n) => `n${n}:1`),
  );
  assert.match(await during, /^during:/);
  assert.equal(harness.events.filter(({ what, tag }) => what === "start" && tag !== "during").length, 20);
}

/** The job ends, its task rejects after that, and a new job works when the fault is over. */
async function endsTheLease(harness: Harness, fault: () => Undo | Promise<Undo>): Promise<void> {
  await harness.worker();
  const { scope, remote } = await harness.owner();
  const task = remote.spawn(scope, harness.job, { tag: "a", ms: 60_000 });
  await harness.waitFor("a", "start");
  const undo = await harness.injectFault(fault);
  const error = await errorOf(task);
  assert(error instanceof RemoteLostError, String(error));
  assert.equal(error.why, "lease");
  assert.equal(harness.eventsOf("a", "end").length, 1);
  assert.equal(harness.eventsOf("a", "signal")[0]?.kind, "disconnected");
  await undo();
  assert.match(await remote.spawn(scope, harness.job, { tag: "b" }), /^b:/);
  assert.equal(harness.eventsOf("a", "start").length, 1);
}

/** Cases with faults of a server, with foreign data in its queues, and with many owners. */
export const serverCases: readonly CaseDraft[] = [
  {
    name: "a server that answers nothing for a while, its connections open, loses nothing and repeats nothing",
    needs: ["pause"],
    run: (harness) => survives(harness, () => harness.subject.pause?.() as never),
  },
  {
    name: "a server that answers nothing for longer than the lease ends the jobs, then their tasks, and a new job works afterwards",
    needs: ["pause"],
    run: (harness) => endsTheLease(harness, () => harness.subject.pause?.() as never),
  },
  {
    name: "a server that takes no writes for a while loses nothing and repeats nothing, not even a result of that time",
    needs: ["refuseWrites"],
    run: (harness) => survives(harness, () => harness.subject.refuseWrites?.() as never),
  },
  {
    name: "a server that takes no writes for longer than the lease ends the jobs, then their tasks, and a new job works afterwards",
    needs: ["refuseWrites"],
    run: (harness) => endsTheLease(harness, () => harness.subject.refuseWrites?.() as never),
  },
  {
    name: "calls whose answers get lost are repeated without harm: each job is started once, and has its result",
    needs: ["loseAnswers"],
    async run(harness) {
      const lease = 3 * harness.lease;
      await harness.worker("worker", { lease });
      const { scope, remote } = await harness.owner("owner", { lease });
      const early = remote.spawn(scope, harness.job, { tag: "early", ms: lease / 5 });
      const cancelled = remote.spawn(scope, harness.job, { tag: "cancelled", ms: 60_000 });
      await harness.waitFor("early", "start");
      await harness.waitFor("cancelled", "start");
      const undo = await harness.injectFault(() => harness.subject.loseAnswers?.("owner") as never);
      const tasks = Array.from({ length: 10 }, (_, n) => remote.spawn(scope, harness.job, { tag: `n${n}` }));
      cancelled.cancel();
      await harness.waitFor("cancelled", "end");
      await harness.pause(lease / 4);
      await undo();
      assert.deepEqual(await Promise.all([early, ...tasks]), ["early:1", ...tasks.map((_, n) => `n${n}:1`)]);
      assert.equal(((await errorOf(cancelled)) as { kind?: string }).kind, "explicit");
      assert.equal(harness.events.filter(({ what }) => what === "start").length, 12);
    },
  },
  {
    name: "results have any characters; errors, paths and causes with them arrive, too",
    async run(harness) {
      await harness.worker();
      const { scope, remote } = await harness.owner();
      assert.equal(
        await remote.spawn(scope, harness.job, { tag: UNUSUAL_TEXT }, { name: UNUSUAL_TEXT }),
        `${UNUSUAL_TEXT}:1`,
      );
      for (const throws of [UNUSUAL_TEXT, `x${"😀".repeat(10_000)}`]) {
        const error = await errorOf(remote.spawn(scope, harness.job, { tag: "e", throws }));
        assert(error instanceof RemoteError, String(error));
        assert.equal(error.name, "RangeError");
        assert.equal(error.message.slice(0, 1), throws.slice(0, 1));
      }
      const task = remote.spawn(scope, harness.job, { tag: "c", ms: 60_000 }, { name: UNUSUAL_TEXT });
      await harness.waitFor("c", "start");
      task.cancel(UNUSUAL_TEXT);
      await errorOf(task);
      const [signal] = harness.eventsOf("c", "signal");
      assert.match(String(signal?.cause), /^a.b.*"\\u0000/s);
      assert.match(String(signal?.path), /a.b/s);
    },
  },
  {
    name: "a job in the queue that bough did not submit is refused, and a reason of an unknown kind is an explicit one",
    async run(harness) {
      await harness.worker();
      const { scope, remote } = await harness.owner();
      const connection = await (await harness.subject.engine("port")).open(scope);
      const { queue } = harness.job;
      const ref = { queue, id: crypto.randomUUID() };
      const rest = { attempts: 3, keep: 60_000, onWorkerLost: "retry", lostRetries: 3 };
      await connection.submit([{ ...ref, ...rest, name: "foreign" } as unknown as Envelope]);
      const until = monotonicNow() + 60_000;
      let state: JobState | undefined;
      while (state === undefined || !("outcome" in state)) {
        assert(monotonicNow() < until, `it was not refused: ${JSON.stringify(state)}`);
        await harness.pause(20);
        state = (await harness.repeated(() => connection.heartbeat({ ask: [ref] }))).states[0];
      }
      const error = await errorOf(remote.attach(scope, ref));
      assert(error instanceof RemoteError, String(error));
      assert.equal(error.name, "RemoteRefusedError");
      const running = await remote.detach(harness.job, { tag: "a", ms: 60_000 });
      await harness.waitFor("a", "start");
      const reason = { kind: "weird", path: 7, cause: { error: { errors: 1 } } } as never;
      await connection.cancel([{ ...running, reason, keep: 60_000 }]);
      assert.equal((await harness.waitFor("a", "signal")).kind, "explicit");
      assert.equal(await remote.spawn(scope, harness.job, { tag: "b" }), "b:1");
    },
  },
  {
    name: "of many owners on one worker each has its own lease: the jobs of those that are gone end, the others' go on",
    async run(harness) {
      const owners = harness.subject.owners ?? 40;
      const lease = 3 * harness.lease;
      await harness.worker("worker", { concurrency: owners, lease });
      const { scope } = await harness.owner();
      const connection = await (await harness.subject.engine("port")).open(scope);
      const ids = Array.from({ length: owners }, () => crypto.randomUUID());
      const living = ids.filter((_, n) => n % 2 === 0);
      const renew = async (some: readonly string[], fresh: boolean): Promise<number> => {
        const { now } = await harness.repeated(() => connection.heartbeat({}));
        for (let at = 0; at < some.length; at += 50)
          await Promise.all(
            some
              .slice(at, at + 50)
              .map((id) =>
                harness.repeated(() =>
                  connection.heartbeat({ owner: { id, until: Math.floor(now + lease), fresh } }),
                ),
              ),
          );
        return now + lease;
      };
      await renew(ids, true);
      await connection.submit(
        ids.map((owner, n) => ({
          v: 1,
          queue: harness.job.queue,
          name: harness.job.name,
          id: owner,
          body: JSON.stringify({ tag: n % 2 === 0 ? "lives" : "dies", ms: 60_000 }),
          owner,
          lease,
          onWorkerLost: "retry",
          lostRetries: 3,
          attempts: 1,
          keep: 60_000,
        })),
      );
      // A job that is fetched after the end of its owner's lease would be dropped.
      const until = monotonicNow() + 120_000;
      while (harness.events.filter(({ what }) => what === "start").length < owners) {
        await renew(ids, false);
        await harness.pause(lease / 20);
        assert(monotonicNow() < until, "the jobs were not started");
      }
      while (harness.eventsOf("dies", "signal").length < owners - living.length) {
        assert(monotonicNow() < until, "the jobs of owners that are gone did not end");
        await renew(living, false);
        await harness.pause(lease / 10);
        assert(
          harness.eventsOf("lives", "signal").length === 0,
          "a job of an owner that lives was cancelled",
        );
      }
      assert.deepEqual(
        new Set(harness.eventsOf("dies", "signal").map(({ kind }) => kind)),
        new Set(["disconnected"]),
      );
      assert.equal(harness.eventsOf("lives", "start").length, living.length);
      const reason = { kind: "shutdown" } as const;
      await connection.cancel(living.map((id) => ({ queue: harness.job.queue, id, reason, keep: 60_000 })));
      await harness.waitFor("lives", "end", living.length);
      for (const id of ids) await harness.repeated(() => connection.heartbeat({ owner: { id, until: 0 } }));
      assert.deepEqual(
        new Set(harness.eventsOf("lives", "signal").map(({ kind }) => kind)),
        new Set(["shutdown"]),
      );
    },
  },
];
