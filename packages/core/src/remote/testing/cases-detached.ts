import assert from "node:assert/strict";
import { RemoteLostError } from "../errors.js";
import { monotonicNow } from "../time.js";
import { errorOf, type CaseDraft } from "./harness.js";

/** Cases of detached jobs. */
export const detachedCases: readonly CaseDraft[] = [
  {
    name: "a detached job is attached to before and after its end, from another process, and more than once",
    async run(harness) {
      await harness.worker();
      const { remote } = await harness.owner("owner");
      const other = await harness.owner("other");
      const ref = JSON.parse(
        JSON.stringify(await remote.detach(harness.job, { tag: "a", ms: 200 })),
      ) as never;
      const before = [other.remote.attach(other.scope, ref), other.remote.attach(other.scope, ref)];
      assert.deepEqual(await Promise.all(before), ["a:1", "a:1"]);
      assert.equal(await other.remote.attach(other.scope, ref), "a:1");
      const missing = other.remote.attach(other.scope, {
        queue: harness.job.queue,
        id: "f0000000-0000-4000-8000-000000000000",
      });
      const error = await errorOf(missing);
      assert(error instanceof RemoteLostError);
      assert.equal(error.why, "missing");
    },
  },
  {
    name: "cancelling an attached task leaves the job alone, or cancels it if that is asked for",
    async run(harness) {
      await harness.worker();
      const { scope, remote } = await harness.owner();
      const left = await remote.detach(harness.job, { tag: "a", ms: 400 });
      const wait = remote.attach(scope, left);
      await harness.waitFor("a", "start");
      wait.cancel();
      await errorOf(wait);
      assert.deepEqual(harness.eventsOf("a", "signal"), []);
      assert.equal(await remote.attach(scope, left), "a:1");
      const ended = await remote.detach(harness.job, { tag: "b", ms: 60_000, cleanup: 50 });
      const strong = remote.attach(scope, ended, { onCancel: "cancel" });
      await harness.waitFor("b", "start");
      strong.cancel();
      await errorOf(strong);
      assert.equal(harness.eventsOf("b", "end").length, 1);
    },
  },
  {
    name: "remote.cancel cancels a detached job, running or queued, also twice and after its end",
    async run(harness) {
      const { scope, remote } = await harness.owner();
      const queued = await remote.detach(harness.job, { tag: "q" });
      await remote.cancel(queued);
      await remote.cancel(queued);
      await harness.worker();
      const running = await remote.detach(harness.job, { tag: "a", ms: 60_000 });
      await harness.waitFor("a", "start");
      await remote.cancel(running, "no longer wanted");
      const error = await errorOf(remote.attach(scope, running));
      assert(error instanceof RemoteLostError);
      assert.deepEqual([error.why, error.cause], ["cancelled", "no longer wanted"]);
      const done = await remote.detach(harness.job, { tag: "d" });
      assert.equal(await remote.attach(scope, done), "d:1");
      await remote.cancel(done);
      assert.equal(await remote.attach(scope, done), "d:1");
      assert.deepEqual(harness.eventsOf("q"), []);
    },
  },
  {
    name: "a detached job outlives its process, and starts after its delay",
    async run(harness) {
      const { scope, remote } = await harness.owner("owner");
      const began = monotonicNow();
      const ref = await remote.detach(harness.job, { tag: "a" }, { delay: 1_000 });
      await scope.close();
      await harness.worker();
      const other = await harness.owner("other");
      assert.equal(await other.remote.attach(other.scope, ref), "a:1");
      const [start] = harness.eventsOf("a", "start");
      assert((start?.at ?? 0) - began >= 950, "it was started before its delay was over");
    },
  },
];
