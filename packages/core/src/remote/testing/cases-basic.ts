import assert from "node:assert/strict";
import { DeadlineExceededError } from "../../errors/cancelled.js";
import { createContextKey } from "../../kernel/context-values.js";
import { spawn } from "../../task/spawn.js";
import { withScope } from "../../task/with-scope.js";
import type { Envelope } from "../engine.js";
import { RemoteError, RemoteRefusedError } from "../errors.js";
import { defineJob, implement } from "../job.js";
import { serve } from "../serve.js";
import { errorOf, outcomeOf, type CaseDraft } from "./harness.js";

/** Cases without a fault. */
export const basicCases: readonly CaseDraft[] = [
  {
    name: "a job returns its value to its owner's task",
    async run(harness) {
      await harness.worker();
      const { scope, remote } = await harness.owner();
      const values = await Promise.all(
        Array.from({ length: 20 }, (_, n) => remote.spawn(scope, harness.job, { tag: `n${n}`, ms: n % 3 })),
      );
      assert.deepEqual(
        values,
        Array.from({ length: 20 }, (_, n) => `n${n}:1`),
      );
    },
  },
  {
    name: "a cancelled job gets the kind, the path and the cause, and its task settles after the cleanup",
    async run(harness) {
      await harness.worker();
      const { scope, remote } = await harness.owner();
      const task = remote.spawn(scope, harness.job, { tag: "a", ms: 60_000, cleanup: 100 });
      await harness.waitFor("a", "start");
      task.cancel({ why: "enough" });
      const error = await errorOf(task);
      assert.equal(task.status, "cancelled");
      assert.equal((error as { kind?: string }).kind, "explicit");
      const [signal] = harness.eventsOf("a", "signal");
      assert.deepEqual(
        [signal?.kind, signal?.path, signal?.cause],
        ["explicit", task.path, { why: "enough" }],
      );
      assert.equal(harness.eventsOf("a", "end").length, 1, "the task has settled before the job has ended");
    },
  },
  {
    name: "the failure of a sibling cancels the job with kind failure and the error as its cause",
    async run(harness) {
      await harness.worker();
      const { scope, remote } = await harness.owner();
      const outcome = await errorOf(
        withScope(scope, async (group) => {
          remote.spawn(group, harness.job, { tag: "a", ms: 60_000 });
          await harness.waitFor("a", "start");
          throw new TypeError("sibling");
        }),
      );
      assert.equal(outcome.message, "sibling");
      const [signal] = harness.eventsOf("a", "signal");
      assert.equal(signal?.kind, "failure");
      assert.equal((signal.cause as Error).name, "TypeError");
      assert(signal.cause instanceof RemoteError);
    },
  },
  {
    name: "a job that is cancelled while it is queued settles without a worker, and never starts",
    async run(harness) {
      const { scope, remote } = await harness.owner();
      const { job } = harness;
      const tasks = Array.from({ length: 10 }, (_, n) => remote.spawn(scope, job, { tag: "a", ms: n }));
      const last = remote.spawn(scope, job, { tag: "b" }, { id: "last" });
      await harness.waitUntilStored(scope, "last");
      for (const task of tasks) task.cancel();
      for (const task of tasks) await errorOf(task);
      await harness.worker();
      assert.equal(await last, "b:1");
      assert.deepEqual(harness.eventsOf("a"), []);
    },
  },
  {
    name: "a job that is cancelled before it is durable never starts",
    async run(harness) {
      await harness.worker();
      const { scope, remote } = await harness.owner();
      const { job } = harness;
      const sync = remote.spawn(scope, job, { tag: "a" });
      sync.cancel();
      const soon = Array.from({ length: 20 }, () => remote.spawn(scope, job, { tag: "b", ms: 20_000 }));
      for (const [index, task] of soon.entries()) {
        if (index % 2 === 0) await Promise.resolve();
        task.cancel();
      }
      await Promise.all([sync, ...soon].map((task) => errorOf(task)));
      assert.deepEqual(harness.eventsOf("a"), []);
      await harness.pause(50);
      assert.equal(harness.eventsOf("b", "start").length, harness.eventsOf("b", "end").length);
    },
  },
  {
    name: "a value that comes after the cancellation is kept, and a failing cleanup is a failure",
    async run(harness) {
      await harness.worker();
      const { scope, remote } = await harness.owner();
      const kept = remote.spawn(scope, harness.job, { tag: "a", ms: 60_000, late: "kept" });
      const failed = remote.spawn(scope, harness.job, { tag: "b", ms: 60_000, badCleanup: true });
      await harness.waitFor("a", "start");
      await harness.waitFor("b", "start");
      kept.cancel();
      failed.cancel();
      assert.equal(await kept, "kept");
      assert.equal((await errorOf(failed)).message, "the cleanup has failed");
      assert.deepEqual([kept.status, failed.status], ["succeeded", "failed"]);
    },
  },
  {
    name: "a job that runs out of time fails with its task's own DeadlineExceededError",
    async run(harness) {
      await harness.worker();
      const { scope, remote } = await harness.owner();
      const task = remote.spawn(scope, harness.job, { tag: "a", ms: 60_000 }, { timeout: 1_500 });
      const error = await errorOf(task);
      assert(error instanceof DeadlineExceededError);
      assert.deepEqual([error.scope, error.timeout, task.status], [task.path, 1_500, "failed"]);
      assert.equal(harness.eventsOf("a", "signal")[0]?.kind, "deadline");
    },
  },
  {
    name: "a deadline that passes in the queue, or before the call, keeps the job from starting",
    async run(harness) {
      const { scope, remote } = await harness.owner();
      const queued = remote.spawn(scope, harness.job, { tag: "a" }, { timeout: 100 });
      const late = remote.spawn(scope, harness.job, { tag: "b" }, { deadline: 1 });
      const free = remote.spawn(scope, harness.job, { tag: "c" }, { timeout: Infinity });
      assert((await errorOf(queued)) instanceof DeadlineExceededError);
      assert((await errorOf(late)) instanceof DeadlineExceededError);
      await harness.worker();
      assert.equal(await free, "c:1");
      assert.deepEqual([...harness.eventsOf("a"), ...harness.eventsOf("b")], []);
    },
  },
  {
    name: "an id that exists is the same job for its owner, and is refused to another",
    async run(harness) {
      await harness.worker();
      const { scope, remote } = await harness.owner("owner");
      const other = await harness.owner("other");
      const id = `id-${harness.job.name}`;
      const first = remote.spawn(scope, harness.job, { tag: "a", ms: 300 }, { id });
      await harness.waitFor("a", "start");
      const again = remote.spawn(scope, harness.job, { tag: "b" }, { id });
      const refused = other.remote.spawn(other.scope, harness.job, { tag: "c" }, { id });
      assert((await errorOf(refused)) instanceof RemoteRefusedError);
      assert.deepEqual([await first, await again], ["a:1", "a:1"]);
      assert.equal(await remote.spawn(scope, harness.job, { tag: "d" }, { id }), "a:1");
      assert.equal(harness.eventsOf("a", "start").length, 1);
    },
  },
  {
    name: "jobs of different queues may have the same id, and different owners",
    async run(harness) {
      const second = defineJob<{ ms: number }, string>(`${harness.job.name}-second`);
      const { scope: workerScope } = await harness.worker();
      const answer = implement(second, async (_, { ms }) => {
        await harness.pause(ms);
        return "second";
      });
      await serve(workerScope, await harness.subject.engine("worker"), [answer], {
        lease: harness.workerLease,
      });
      const { scope, remote } = await harness.owner("owner");
      const other = await harness.owner("other");
      const id = crypto.randomUUID();
      const first = remote.spawn(scope, harness.job, { tag: "a", ms: 300 }, { id });
      await harness.waitFor("a", "start");
      const own = other.remote.spawn(other.scope, second, { ms: 600 }, { id });
      const refused = other.remote.spawn(other.scope, harness.job, { tag: "b" }, { id });
      assert((await errorOf(refused)) instanceof RemoteRefusedError);
      assert.deepEqual([await first, await own], ["a:1", "second"]);
    },
  },
  {
    name: "a job that fails is tried again as often as it may be, and then fails with the error of the last time",
    async run(harness) {
      await harness.worker();
      const { scope, remote } = await harness.owner();
      const options = { attempts: 3, backoff: 10 };
      assert.equal(await remote.spawn(scope, harness.job, { tag: "a", failures: 2 }, options), "a:3");
      const error = await errorOf(remote.spawn(scope, harness.job, { tag: "b", failures: 9 }, options));
      assert.deepEqual([error.name, error.message], ["RangeError", "failed 3"]);
      assert.equal(harness.eventsOf("b", "start").length, 3);
    },
  },
  {
    name: "an error keeps its name, message and code, and is no instance of its class",
    async run(harness) {
      await harness.worker();
      const { scope, remote } = await harness.owner();
      const error = await errorOf(remote.spawn(scope, harness.job, { tag: "a", throws: "bad input" }));
      assert(error instanceof RemoteError);
      assert(!(error instanceof RangeError));
      assert.deepEqual([error.name, error.message, error.code], ["RangeError", "bad input", "E_SCRIPT"]);
      assert.match(error.remote.stack ?? "", /RangeError: bad input/);
      assert.deepEqual([error.remote.worker, error.remote.attempt], ["worker", 1]);
    },
  },
  {
    name: "a result that is bigger than a hint arrives, and so does none",
    async run(harness) {
      await harness.worker();
      const { scope, remote } = await harness.owner();
      const sizes = [0, 1, 7_900, 8_192, 100_000, 900_000];
      const results = await Promise.all(
        sizes.map((size) => remote.spawn(scope, harness.job, { tag: `s${size}`, size })),
      );
      assert.deepEqual(
        results.map((text) => text.length),
        sizes,
      );
      const tooBig = await errorOf(remote.spawn(scope, harness.job, { tag: "big", size: 1_000_001 }));
      assert.equal(tooBig.name, "RemoteRefusedError");
    },
  },
  {
    name: "context values and the trace context travel, if both sides list the key",
    async run(harness) {
      const tenant = createContextKey<string>("tenant");
      const secret = createContextKey<string>("secret", "none");
      const ask = defineJob<undefined, unknown>(`${harness.job.name}-context`);
      const traced: unknown[] = [];
      const trace = {
        inject: (carrier: Record<string, string>) => void (carrier["traceparent"] = "00-a-b-01"),
        extract: <T>(carrier: Readonly<Record<string, string>>, run: () => T): T => {
          traced.push({ ...carrier });
          return run();
        },
      };
      const { scope: workerScope } = await harness.worker();
      await serve(
        workerScope,
        await harness.subject.engine("worker"),
        [implement(ask, (own) => [own.get(tenant), own.get(secret)])],
        { contexts: [tenant], trace, lease: harness.workerLease },
      );
      const { scope, remote } = await harness.owner("owner", { contexts: [tenant, secret], trace });
      const answer = await withScope(scope, async (own) => {
        own.set(tenant, "acme");
        own.set(secret, "hidden");
        return remote.spawn(own, ask, undefined);
      });
      assert.deepEqual(answer, ["acme", "none"]);
      assert.deepEqual(traced, [{ traceparent: "00-a-b-01" }]);
    },
  },
  {
    name: "a worker never sees another version of its job, and gives a newer envelope back",
    async run(harness) {
      const next = defineJob<{ tag: string }, string>(harness.job.name, { version: 2 });
      await harness.worker("old");
      const { scope, remote } = await harness.owner();
      const task = remote.spawn(scope, next, { tag: "a" });
      const connection = await (await harness.subject.engine("newer")).open(scope);
      const newer = {
        v: 2,
        queue: harness.job.queue,
        id: "f0000000-0000-4000-8000-000000000002",
        name: harness.job.name,
      };
      const rest = {
        body: '{"tag":"n"}',
        onWorkerLost: "retry",
        lostRetries: 3,
        attempts: 1,
        keep: 60_000,
        later: 1,
      };
      await connection.submit([{ ...newer, ...rest } as unknown as Envelope]);
      assert.equal(await remote.spawn(scope, harness.job, { tag: "b" }), "b:1");
      await harness.pause(100);
      assert.deepEqual([...harness.eventsOf("a"), ...harness.eventsOf("n")], []);
      task.cancel();
      await errorOf(task);
      await connection.cancel([
        { queue: newer.queue, id: newer.id, reason: { kind: "explicit" }, keep: 1_000 },
      ]);
    },
  },
  {
    name: "workers of several queues run no more than concurrency jobs at once",
    async run(harness) {
      const jobs = [1, 2, 3].map((n) => defineJob(`${harness.job.name}-q${n}`));
      let now = 0;
      let most = 0;
      const { scope: workerScope } = await harness.worker();
      const implementations = jobs.map((job) =>
        implement(job, async () => {
          most = Math.max(most, (now += 1));
          await harness.pause(20);
          now -= 1;
        }),
      );
      const options = { concurrency: 4, lease: harness.workerLease };
      await serve(workerScope, await harness.subject.engine("worker"), implementations, options);
      const { scope, remote } = await harness.owner();
      await Promise.all(
        Array.from({ length: 30 }, (_, n) => remote.spawn(scope, jobs[n % 3] as (typeof jobs)[0], undefined)),
      );
      assert.equal(most, 4);
    },
  },
  {
    name: "drain fetches no more and lets the running jobs finish",
    async run(harness) {
      const { service } = await harness.worker("first", { concurrency: 1 });
      const { scope, remote } = await harness.owner();
      const running = remote.spawn(scope, harness.job, { tag: "a", ms: 300 });
      await harness.waitFor("a", "start");
      const waiting = remote.spawn(scope, harness.job, { tag: "b" });
      await service.drain();
      assert.equal(await running, "a:1");
      assert.deepEqual(harness.eventsOf("b"), []);
      await harness.worker("second");
      assert.equal(await waiting, "b:1");
      assert.equal(harness.eventsOf("b", "start")[0]?.worker, "second");
    },
  },
  {
    name: "cancelling a worker's scope cancels its jobs and gives them back, and another worker runs them",
    async run(harness) {
      const first = await harness.worker("first");
      const { scope, remote } = await harness.owner();
      const task = remote.spawn(scope, harness.job, { tag: "a", ms: 2_500 });
      await harness.waitFor("a", "start");
      await harness.worker("second", { concurrency: 1 });
      await first.scope.close();
      assert.match(await task, /^a:/);
      const [end, start] = [harness.eventsOf("a", "end")[0], harness.eventsOf("a", "start")[1]];
      assert.equal(start?.worker, "second");
      assert((end?.at ?? Infinity) <= start.at, "it ran beside itself");
    },
  },
  {
    name: "closing an owner's scope cancels its jobs, waits for them, and leaves nothing",
    async run(harness) {
      await harness.worker();
      const { scope, remote } = await harness.owner();
      const tasks = Array.from({ length: 40 }, (_, n) =>
        remote.spawn(scope, harness.job, {
          tag: `n${n}`,
          ms: 60_000,
          cleanup: 3 * harness.lease * (n === 0 ? 1 : 0),
        }),
      );
      await harness.waitFor("n0", "start");
      await scope.close();
      for (const task of tasks) assert.equal(task.status, "cancelled");
      const starts = harness.events.filter(({ what }) => what === "start");
      assert.equal(harness.events.filter(({ what }) => what === "end").length, starts.length);
      assert.deepEqual(
        new Set(harness.events.filter(({ what }) => what === "signal").map(({ kind }) => kind)),
        new Set(["closed"]),
      );
    },
  },
  {
    name: "two processes that submit one id at the same time make one job",
    async run(harness) {
      await harness.worker();
      const owners = await Promise.all(["a", "b", "c"].map((name) => harness.owner(name)));
      const id = `one-${harness.job.name}`;
      const outcomes = await Promise.all(
        owners.map(({ scope, remote }) =>
          outcomeOf(remote.spawn(scope, harness.job, { tag: "a", ms: 50 }, { id })),
        ),
      );
      assert.equal(outcomes.filter(({ value }) => value === "a:1").length, 1);
      assert.equal(outcomes.filter(({ error }) => error instanceof RemoteRefusedError).length, 2);
      assert.equal(harness.eventsOf("a", "start").length, 1);
    },
  },
  {
    name: "the concurrency of the local scope bounds what is queued, and a daemon job ends with its scope",
    async run(harness) {
      await harness.worker();
      const { scope, remote } = await harness.owner();
      const order: number[] = [];
      await withScope(scope, { concurrency: 2 }, async (group) => {
        const tasks = [0, 1, 2, 3].map((n) => remote.spawn(group, harness.job, { tag: `n${n}`, ms: 20 }));
        assert.deepEqual(
          tasks.map(({ status }) => status),
          ["running", "running", "queued", "queued"],
        );
        for (const [n, task] of tasks.entries()) spawn(scope, () => task.then(() => order.push(n)));
        await Promise.all(tasks);
      });
      await harness.pause(1);
      assert.equal(order.length, 4);
    },
  },
];
