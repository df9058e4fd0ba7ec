import { connect } from "node:net";
import { Queue } from "bullmq";
import { Redis } from "ioredis";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { bullmqEngine } from "../../src/bullmq/index.js";
import { withResolvers } from "../../src/kernel/observer.js";
import { createScope, map, sleep, withScope, type ScopeHandle } from "../../src/index.js";
import { connectRemote, defineJob, implement, serve } from "../../src/remote/index.js";
import { testEngine } from "../support/engine-tests.js";
import { Proxy } from "../support/proxy.js";
import { startRedis, whyNoRedis } from "../support/redis.js";

const missing = whyNoRedis();
const title = missing === undefined ? "BullMQ" : `BullMQ (skipped: ${missing})`;

describe.skipIf(missing !== undefined)(`${title}`, () => {
  testEngine(async (scope) => {
    const redis = await startRedis(scope);
    const command = async (...command: [string, ...string[]]): Promise<void> => {
      const client = new Redis(redis.port);
      await client.call(...command);
      client.disconnect();
    };
    return {
      open: async () => {
        const proxy = new Proxy({ port: redis.port }, /\r\nsubscribe\r\n/i);
        return { proxy, url: `redis://127.0.0.1:${await proxy.listen({ port: 0 })}` };
      },
      subject: (ways) => ({
        engine: async (process) => bullmqEngine({ connection: (await ways(process)).url }),
        lease: 3_000,
        workerLease: 3_000,
        lostWithin: 3_000,
        stop: () => redis.crash(),
        refuseWrites: async () => {
          await command("config", "set", "min-replicas-to-write", "1");
          return () => command("config", "set", "min-replicas-to-write", "0");
        },
        wipe: () => command("flushall"),
      }),
    };
  });

  it("jobs that start or end together share one command each: the look at the notes and leases, and the hint", async () => {
    const scope = createScope();
    const redis = await startRedis(scope);
    const engine = bullmqEngine({ connection: redis.url, prefix: "commands" });
    const double = defineJob<number, number>("double");
    const jobs = 500;
    const calls = await withScope(scope, async (own) => {
      const service = await serve(own, engine, [implement(double, (_, n) => 2 * n)], { concurrency: 100 });
      const stats = await withScope(own, async (owner) => {
        const remote = await connectRemote(owner, engine);
        const client = new Redis(redis.port);
        await client.config("RESETSTAT");
        const results = await map(
          owner,
          Array.from({ length: jobs }, (_, n) => n),
          (n, own) => remote.spawn(own, double, n),
          { concurrency: 100 },
        );
        expect(results).toEqual(Array.from({ length: jobs }, (_, n) => 2 * n));
        const text = await client.info("commandstats");
        client.disconnect();
        return Object.fromEntries(
          ["mget", "publish"].map((name) => [
            name,
            Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(text)?.[1] ?? 0) / jobs,
          ]),
        );
      });
      await service.drain();
      return stats;
    });
    await scope.close();
    expect(calls["mget"]).toBeGreaterThan(0);
    expect(calls["mget"]).toBeLessThan(0.5);
    expect(calls["publish"]).toBeGreaterThan(0);
    expect(calls["publish"]).toBeLessThan(0.5);
  });

  it("a worker that gives its jobs back wakes another one, also if it was woken for them itself", async () => {
    const scope = createScope();
    const redis = await startRedis(scope);
    const engine = bullmqEngine({ connection: redis.url });
    const wait = defineJob("wait");
    const started = withResolvers<void>();
    const remote = await connectRemote(scope, engine);
    const worker = createScope();
    const work = implement(wait, async (own) => {
      started.resolve(undefined);
      await sleep(own, 600_000);
    });
    await serve(worker, engine, [work], { concurrency: 5 });
    const task = remote.spawn(scope, wait, undefined);
    await started.promise;
    const client = new Redis(redis.port);
    const monitor = connect(redis.port, "127.0.0.1");
    let seen = "";
    monitor.on("data", (chunk: Buffer) => (seen += chunk.toString()));
    monitor.write("MONITOR\r\n");
    while (!seen.includes("OK")) await sleep(scope, 5);
    await worker.close();
    expect(await client.llen("{bough}:wait@1:wait")).toBe(1);
    await client.zadd("{bough}:wait@1:marker", 0, "the test");
    while (!seen.includes("the test")) await sleep(scope, 5);
    const wakings = seen.split("\r\n").filter((line) => /"zadd" "{bough}:wait@1:marker"/i.test(line));
    expect(wakings.at(-2)).toMatch(/"0" "0"/);
    expect(wakings.at(-2)).not.toContain("lua"); // after the last one of its own
    monitor.destroy();
    client.disconnect();
    task.cancel();
    await expect(task).rejects.toMatchObject({ kind: "explicit" });
    await scope.close();
  });

  it("a worker whose clock is far ahead does not remove the results of others", async () => {
    const scope = createScope();
    const redis = await startRedis(scope);
    const engine = bullmqEngine({ connection: redis.url });
    const double = defineJob<number, number>("double");
    await serve(scope, engine, [implement(double, (_, n) => 2 * n)]);
    const remote = await connectRemote(scope, engine);
    const ref = await remote.detach(double, 1, { keep: 1_000 });
    expect(await remote.attach(scope, ref)).toBe(2);
    const now = Date.now.bind(Date);
    const clock = vi.spyOn(Date, "now").mockImplementation(() => now() + 119_000);
    try {
      expect(await remote.spawn(scope, double, 2)).toBe(4);
    } finally {
      clock.mockRestore();
    }
    expect(await remote.attach(scope, ref)).toBe(2);
    await scope.close();
  });

  it("messages on its channels and values at its keys that are not of bough end nothing", async () => {
    const scope = createScope({ supervise: true, onError: () => {} });
    const redis = await startRedis(scope);
    const errors: unknown[] = [];
    const engine = bullmqEngine({ connection: redis.url, onError: (error) => errors.push(error) });
    const wait = defineJob<number, string>("wait");
    const started = withResolvers<void>();
    await serve(
      scope,
      engine,
      [
        implement(wait, async (own, ms) => {
          started.resolve(undefined);
          await sleep(own, ms);
          return "done";
        }),
      ],
      { concurrency: 5 },
    );
    const remote = await connectRemote(scope, engine, { lease: 1_000 });
    const task = remote.spawn(scope, wait, 600_000);
    await started.promise;
    const client = new Redis(redis.port);
    const channels = (await client.pubsub("CHANNELS", "*")) as string[];
    expect(channels).toHaveLength(2);
    const messages = [
      "no JSON",
      "null",
      "7",
      "[null]",
      '[{"queue":1}]',
      '{"queue":"wait@1","id":"x","reason":3}',
    ];
    for (const channel of channels) for (const message of messages) await client.publish(channel, message);
    const plain = new Queue("wait@1", { connection: { port: redis.port }, prefix: "{bough}" });
    await plain.add("plain", null, { jobId: "j-plain" }); // fetched by the worker
    const broken = { queue: "wait@1", id: "broken" };
    await client.hset("{bough}:wait@1:j-broken", { timestamp: 1, finishedOn: 2, returnvalue: "{" });
    const [unreadable, refused] = await Promise.all([
      errorOf(remote.attach(scope, broken)),
      errorOf(remote.attach(scope, { queue: "wait@1", id: "plain" })),
    ]);
    expect([unreadable.name, refused.name]).toEqual(["RemoteRefusedError", "RemoteRefusedError"]);
    const [key = ""] = await client.keys("{bough}:wait@1:j-*:lock");
    const id = key.slice("{bough}:wait@1:j-".length, -":lock".length);
    await client.set(`{bough}:bough:note:wait@1:${id}`, "no JSON"); // a note is a note
    expect(await remote.spawn(scope, wait, 1)).toBe("done");
    expect((await errorOf(task)).name).toBe("RemoteLostError");
    expect(errors.map(String)).toEqual(channels.map(() => expect.stringContaining("SyntaxError")));
    await plain.close();
    client.disconnect();
    await scope.close();
  });

  describe("the connection for messages", () => {
    const open = async (scope: ScopeHandle) => {
      onTestFinished(() => scope.close()); // a test that fails leaves no server
      const redis = await startRedis(scope);
      const proxy = new Proxy({ port: redis.port }, /\r\nsubscribe\r\n/i);
      const url = `redis://127.0.0.1:${await proxy.listen({ port: 0 })}`;
      scope.defer(() => proxy.close());
      const client = new Redis(redis.port);
      scope.defer(() => client.disconnect());
      const errors: unknown[] = [];
      const unhandled: unknown[] = [];
      const listener = (reason: unknown): void => void unhandled.push(reason);
      process.on("unhandledRejection", listener);
      scope.defer(() => process.off("unhandledRejection", listener));
      /** The number that Redis has given to the connection that has subscribed. */
      const subscriber = async (): Promise<string | undefined> =>
        /^id=(\d+)/.exec((await client.client("LIST", "TYPE", "PUBSUB")) as string)?.[1];
      const subscriberAfter = async (before: string | undefined): Promise<void> => {
        for (;;) {
          const now = await subscriber();
          if (now !== undefined && now !== before) return;
          await sleep(scope, 5);
        }
      };
      const engine = bullmqEngine({ connection: url, onError: (error) => errors.push(error) });
      return { client, proxy, engine, errors, unhandled, subscriber, subscriberAfter };
    };

    it("R25: closing while it subscribes again after an outage leaves no rejection unhandled", async () => {
      const scope = createScope();
      const { proxy, engine, unhandled, subscriber, subscriberAfter } = await open(scope);
      const owner = createScope();
      await connectRemote(owner, engine);
      const first = await subscriber();
      expect(first).toBeDefined();
      proxy.cut()(); // ends the connections
      const undo = proxy.dropHints(); // the next subscription gets no answer
      await subscriberAfter(first);
      await owner.close();
      while ((await subscriber()) !== undefined) await sleep(scope, 5); // Redis knows that it has gone
      undo();
      expect(unhandled).toEqual([]);
      await scope.close();
    });

    it("R19: it has its channels again after an outage, and asks for what it has missed when they are there", async () => {
      const scope = createScope();
      const { client, proxy, engine, unhandled, subscriber, subscriberAfter } = await open(scope);
      const connection = await engine.open(scope);
      const hints: unknown[] = [];
      const asked = withResolvers<void>();
      const arrived = withResolvers<void>();
      await connection.watch({ queue: "one@1" }, (hint) => {
        hints.push(hint);
        if (hint === undefined) asked.resolve(undefined);
        else arrived.resolve(undefined);
      });
      await connection.watch({ queue: "two@1" }, () => {});
      const channels = (): Promise<string[]> => client.pubsub("CHANNELS", "*") as Promise<string[]>;
      const before = (await channels()).toSorted();
      expect(before).toHaveLength(2);
      const first = await subscriber();
      proxy.cut()();
      await subscriberAfter(first);
      await asked.promise;
      expect((await channels()).toSorted()).toEqual(before);
      const hint = { queue: "one@1", id: "x" };
      await connection.hint({ queue: "one@1" }, [hint]);
      await arrived.promise;
      expect(hints).toEqual([undefined, hint]);
      expect(unhandled).toEqual([]);
      await scope.close();
    });

    it("R24: a subscription that Redis refuses after an outage is reported, and ends nothing", async () => {
      const scope = createScope();
      const { client, proxy, engine, errors, unhandled } = await open(scope);
      const double = defineJob<number, number>("double");
      await serve(scope, engine, [implement(double, (_, n) => 2 * n)]);
      const remote = await connectRemote(scope, engine, { lease: 1_000 });
      await client.acl("SETUSER", "default", "resetchannels");
      proxy.cut()();
      while (!errors.some((error) => String(error).startsWith("ReplyError: NOPERM"))) await sleep(scope, 5);
      await client.acl("SETUSER", "default", "allchannels");
      expect(await remote.spawn(scope, double, 2)).toBe(4);
      expect(unhandled).toEqual([]);
      await scope.close();
    });
  });
});

async function errorOf(promise: PromiseLike<unknown>): Promise<Error> {
  return Promise.resolve(promise).then(
    (value) => expect.unreachable(String(value)),
    (error: unknown) => error as Error,
  );
}
