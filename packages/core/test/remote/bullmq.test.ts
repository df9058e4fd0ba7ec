import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bullmqEngine } from "../../src/bullmq/index.js";
import { createScope, type ScopeHandle } from "../../src/index.js";
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
