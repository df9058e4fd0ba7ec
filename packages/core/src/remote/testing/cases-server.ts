import assert from "node:assert/strict";
import type { Envelope, JobState } from "../engine.js";
import { RemoteError, RemoteLostError } from "../errors.js";
import { monotonicNow } from "../time.js";
import { errorOf, type CaseDraft, type Stage, type Undo } from "./stage.js";

/** NUL, half of a surrogate pair, and what JSON has to escape: Postgres refuses the first two. */
const ODD = `a\u0000b\ud83d"\\u0000\u2028`;

/** Twenty jobs, of which some end during the fault and some after it: each has its result, and was started once. */
async function survives(stage: Stage, fault: () => Undo | Promise<Undo>): Promise<void> {
  const lease = 3 * stage.lease;
  await stage.worker("worker", { lease });
  const { scope, remote } = await stage.owner("owner", { lease });
  const tasks = Array.from({ length: 20 }, (_, n) =>
    remote.spawn(scope, stage.job, { tag: `n${n}`, ms: lease / 4 + (n * lease) / 40 }),
  );
  await Promise.all(tasks.map((_, n) => stage.seen(`n${n}`, "start")));
  const undo = await stage.fault(fault);
  const during = remote.spawn(scope, stage.job, { tag: "during" });
  await stage.pause(lease * 0.3);
  await undo();
  const results = await Promise.all(tasks);
  assert.deepEqual(
    results,
    results.map((_, n) => `n${n}:1`),
  );
  assert.match(await during, /^during:/);
  assert.equal(stage.events.filter(({ what, tag }) => what === "start" && tag !== "during").length, 20);
}

/** The job ends, its task rejects after that, and a new job works when the fault is over. */
async function endsTheLease(stage: Stage, fault: () => Undo | Promise<Undo>): Promise<void> {
  await stage.worker();
  const { scope, remote } = await stage.owner();
  const task = remote.spawn(scope, stage.job, { tag: "a", ms: 60_000 });
  await stage.seen("a", "start");
  const undo = await stage.fault(fault);
  const error = await errorOf(task);
  assert(error instanceof RemoteLostError, String(error));
  assert.equal(error.why, "lease");
  assert.equal(stage.of("a", "end").length, 1);
  assert.equal(stage.of("a", "signal")[0]?.kind, "disconnected");
  await undo();
  assert.match(await remote.spawn(scope, stage.job, { tag: "b" }), /^b:/);
  assert.equal(stage.of("a", "start").length, 1);
}

/** Cases of what a server does, of what is in its queues, and of many owners: rows 4, 5, 8 and 9 of the matrix. */
export const serverCases: readonly CaseDraft[] = [
  {
    name: "R21: a server that answers nothing for a while, its connections open, loses nothing and repeats nothing",
    needs: ["pause"],
    play: (stage) => survives(stage, () => stage.subject.pause?.() as never),
  },
  {
    name: "R21: a server that answers nothing for longer than the lease ends the jobs, then their tasks, and a new job works afterwards",
    needs: ["pause"],
    play: (stage) => endsTheLease(stage, () => stage.subject.pause?.() as never),
  },
  {
    name: "R13, R21: a server that takes no writes for a while loses nothing and repeats nothing, not even a result of that time",
    needs: ["refuseWrites"],
    play: (stage) => survives(stage, () => stage.subject.refuseWrites?.() as never),
  },
  {
    name: "R21: a server that takes no writes for longer than the lease ends the jobs, then their tasks, and a new job works afterwards",
    needs: ["refuseWrites"],
    play: (stage) => endsTheLease(stage, () => stage.subject.refuseWrites?.() as never),
  },
  {
    name: "R12, R13, R24: calls whose answers get lost are repeated without harm: each job is started once, and has its result",
    needs: ["loseAnswers"],
    async play(stage) {
      const lease = 3 * stage.lease;
      await stage.worker("worker", { lease });
      const { scope, remote } = await stage.owner("owner", { lease });
      const early = remote.spawn(scope, stage.job, { tag: "early", ms: lease / 5 });
      const cancelled = remote.spawn(scope, stage.job, { tag: "cancelled", ms: 60_000 });
      await stage.seen("early", "start");
      await stage.seen("cancelled", "start");
      const undo = await stage.fault(() => stage.subject.loseAnswers?.("owner") as never);
      const tasks = Array.from({ length: 10 }, (_, n) => remote.spawn(scope, stage.job, { tag: `n${n}` }));
      cancelled.cancel();
      await stage.seen("cancelled", "end");
      await stage.pause(lease / 4);
      await undo();
      assert.deepEqual(await Promise.all([early, ...tasks]), ["early:1", ...tasks.map((_, n) => `n${n}:1`)]);
      assert.equal(((await errorOf(cancelled)) as { kind?: string }).kind, "explicit");
      assert.equal(stage.events.filter(({ what }) => what === "start").length, 12);
    },
  },
  {
    name: "R4, R15, R16: results have any characters; errors, paths and causes with them arrive, too",
    async play(stage) {
      await stage.worker();
      const { scope, remote } = await stage.owner();
      assert.equal(await remote.spawn(scope, stage.job, { tag: ODD }, { name: ODD }), `${ODD}:1`);
      for (const throws of [ODD, `x${"😀".repeat(10_000)}`]) {
        const error = await errorOf(remote.spawn(scope, stage.job, { tag: "e", throws }));
        assert(error instanceof RemoteError, String(error));
        assert.equal(error.name, "RangeError");
        assert.equal(error.message.slice(0, 1), throws.slice(0, 1));
      }
      const task = remote.spawn(scope, stage.job, { tag: "c", ms: 60_000 }, { name: ODD });
      await stage.seen("c", "start");
      task.cancel(ODD);
      await errorOf(task);
      const [signal] = stage.of("c", "signal");
      assert.match(String(signal?.cause), /^a.b.*"\\u0000/s);
      assert.match(String(signal?.path), /a.b/s);
    },
  },
  {
    name: "R18, R19: a job in the queue that bough did not submit is refused, and a reason of an unknown kind is an explicit one",
    async play(stage) {
      await stage.worker();
      const { scope, remote } = await stage.owner();
      const connection = await (await stage.subject.engine("port")).open(scope);
      const { queue } = stage.job;
      const ref = { queue, id: crypto.randomUUID() };
      const rest = { attempts: 3, keep: 60_000, onWorkerLost: "retry", lostRetries: 3 };
      await connection.submit([{ ...ref, ...rest, name: "foreign" } as unknown as Envelope]);
      const until = monotonicNow() + 60_000;
      let state: JobState | undefined;
      while (state === undefined || !("outcome" in state)) {
        assert(monotonicNow() < until, `it was not refused: ${JSON.stringify(state)}`);
        await stage.pause(20);
        state = (await stage.repeated(() => connection.heartbeat({ ask: [ref] }))).states[0];
      }
      const error = await errorOf(remote.attach(scope, ref));
      assert(error instanceof RemoteError, String(error));
      assert.equal(error.name, "RemoteRefusedError");
      const running = await remote.detach(stage.job, { tag: "a", ms: 60_000 });
      await stage.seen("a", "start");
      const reason = { kind: "weird", path: 7, cause: { error: { errors: 1 } } } as never;
      await connection.cancel([{ ...running, reason, keep: 60_000 }]);
      assert.equal((await stage.seen("a", "signal")).kind, "explicit");
      assert.equal(await remote.spawn(scope, stage.job, { tag: "b" }), "b:1");
    },
  },
  {
    name: "R7, R8: of many owners on one worker each has its own lease: the jobs of those that are gone end, the others' go on",
    async play(stage) {
      const owners = stage.subject.owners ?? 40;
      await stage.worker("worker", { concurrency: owners });
      const { scope } = await stage.owner();
      const connection = await (await stage.subject.engine("port")).open(scope);
      const ids = Array.from({ length: owners }, () => crypto.randomUUID());
      const living = ids.filter((_, n) => n % 2 === 0);
      const lease = 3 * stage.lease;
      const renew = async (some: readonly string[], fresh: boolean): Promise<number> => {
        const { now } = await stage.repeated(() => connection.heartbeat({}));
        for (let at = 0; at < some.length; at += 50)
          await Promise.all(
            some
              .slice(at, at + 50)
              .map((id) =>
                stage.repeated(() =>
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
          queue: stage.job.queue,
          name: stage.job.name,
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
      while (stage.events.filter(({ what }) => what === "start").length < owners) {
        await renew(ids, false);
        await stage.pause(lease / 20);
        assert(monotonicNow() < until, "the jobs were not started");
      }
      while (stage.of("dies", "signal").length < owners - living.length) {
        assert(monotonicNow() < until, "the jobs of owners that are gone did not end");
        await renew(living, false);
        await stage.pause(lease / 10);
        assert(stage.of("lives", "signal").length === 0, "a job of an owner that lives was cancelled");
      }
      assert.deepEqual(
        new Set(stage.of("dies", "signal").map(({ kind }) => kind)),
        new Set(["disconnected"]),
      );
      assert.equal(stage.of("lives", "start").length, living.length);
      const reason = { kind: "shutdown" } as const;
      await connection.cancel(living.map((id) => ({ queue: stage.job.queue, id, reason, keep: 60_000 })));
      await stage.seen("lives", "end", living.length);
      for (const id of ids) await stage.repeated(() => connection.heartbeat({ owner: { id, until: 0 } }));
      assert.deepEqual(new Set(stage.of("lives", "signal").map(({ kind }) => kind)), new Set(["shutdown"]));
    },
  },
];
