import { createScope, sleep, type Scope } from "bough";
import { Queue } from "bullmq";
import { describe, expect, it } from "vitest";
import { eventually } from "../support/eventually.js";
import { hasRedis, redisLabel, startRedis } from "../support/redis.js";
import { workOff } from "./bullmq.js";

describe.skipIf(!hasRedis)(`BullMQ with ${redisLabel}`, () => {
  it("runs each job in its own scope, and lets it finish when the worker stops", async () => {
    await using redis = await startRedis();
    const connection = { path: redis.path };
    const queue = new Queue("mails", { connection });
    const scope = createScope({ name: "worker" });
    const done: string[] = [];
    let running: Scope | undefined;
    let finish: () => void = () => {};
    workOff<{ to: string }>(scope, "mails", connection, async (own, job) => {
      running = own;
      await new Promise<void>((resolve) => (finish = resolve));
      await sleep(own, 1);
      done.push(job.data.to);
    });
    await queue.add("welcome", { to: "ada@example.com" });
    await eventually(() => expect(running?.path).toBe("mails/welcome"));
    const closed = scope.close();
    expect(running?.cancelled).toBe(false);
    finish();
    await closed;
    expect(done).toEqual(["ada@example.com"]);
    await queue.close();
  });

  it("a job that is cancelled has failed, and BullMQ knows why", async () => {
    await using redis = await startRedis();
    const connection = { path: redis.path };
    const queue = new Queue("mails", { connection });
    const scope = createScope({ name: "worker" });
    const worker = workOff(scope, "mails", connection, async (own) => {
      own.cancel("enough");
      await sleep(own, 60_000);
    });
    const reasons: string[] = [];
    worker.on("failed", (_job, error) => reasons.push(error.message));
    await queue.add("welcome", {});
    await eventually(() => expect(reasons).toEqual(['Scope "mails/welcome" was cancelled (explicit)']));
    await scope.close();
    await queue.close();
  });
});
