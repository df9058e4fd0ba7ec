import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bullmqEngine } from "../../src/bullmq/index.js";
import { createScope, map, withScope, type ScopeHandle } from "../../src/index.js";
import { connectRemote, defineJob, implement, serve } from "../../src/remote/index.js";
import { engineSuite, type EngineSubject } from "../../src/remote/testing/index.js";
import { Proxy } from "../support/proxy.js";
import { startRedis, whyNoRedis, type TestRedis } from "../support/redis.js";

const missing = whyNoRedis();
const title = missing === undefined ? "BullMQ" : `BullMQ (skipped: ${missing})`;

describe.skipIf(missing !== undefined)(`${title}`, () => {
  let scope: ScopeHandle;
  let redis: TestRedis;

  beforeAll(async () => {
    scope = createScope({ name: "bullmq" });
    redis = await startRedis(scope);
  });

  afterAll(() => scope.close());

  /** Each process of a case has a way of its own to the server, which can be cut. */
  function subject(proxies: Map<string, { proxy: Proxy; port: number }>): EngineSubject {
    const proxyOf = async (process: string): Promise<{ proxy: Proxy; port: number }> => {
      let found = proxies.get(process);
      if (found === undefined) {
        const proxy = new Proxy({ port: redis.port }, /\r\nsubscribe\r\n/i);
        found = { proxy, port: await proxy.listen({ port: 0 }) };
        proxies.set(process, found);
      }
      return found;
    };
    return {
      engine: async (process) =>
        bullmqEngine({ connection: `redis://127.0.0.1:${(await proxyOf(process)).port}` }),
      lease: 2_000,
      workerLease: 2_000,
      lostWithin: 3_000,
      cut: async (process) => (await proxyOf(process)).proxy.cut(),
      dropHints: async (process) => (await proxyOf(process)).proxy.dropHints(),
      stop: () => redis.crash(),
      wipe: async () => {
        const client = new Redis(redis.port);
        await client.flushall();
        client.disconnect();
      },
    };
  }

  it("jobs that start or end together share one command each: the look at the notes and leases, and the hint", async () => {
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
    expect(calls["mget"]).toBeGreaterThan(0);
    expect(calls["mget"]).toBeLessThan(0.5);
    expect(calls["publish"]).toBeGreaterThan(0);
    expect(calls["publish"]).toBeLessThan(0.5);
  });

  const names = engineSuite({ engine: () => bullmqEngine({ connection: "redis://none" }) }).map(
    ({ name }) => name,
  );
  const isForAll = (name: string): boolean => /outage|has lost/.test(name);

  async function play(name: string): Promise<void> {
    const proxies = new Map<string, { proxy: Proxy; port: number }>();
    try {
      const found = engineSuite(subject(proxies)).find((each) => each.name === name);
      expect(found?.skipped).toBeUndefined();
      await found?.run();
    } finally {
      for (const { proxy } of proxies.values()) proxy.close();
    }
  }

  // Most of their time is waiting for locks to run out.
  describe.concurrent("its cases", () => {
    it.each(names.filter((name) => !isForAll(name)))("%s", play, 180_000);
  });

  describe("its cases that stop the server", () => {
    it.each(names.filter(isForAll))("%s", play, 180_000);
  });
});
