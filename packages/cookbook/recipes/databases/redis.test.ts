import { createScope, withScope } from "bough";
import { Redis } from "ioredis";
import { describe, expect, it } from "vitest";
import { eventually } from "../../support/eventually.js";
import { hasRedis, redisLabel, startRedis } from "../../support/redis.js";
import { pop } from "./redis.js";

describe.skipIf(!hasRedis)(`a pop from ${redisLabel}`, () => {
  it("gives an element, and stops waiting on the server when its scope is cancelled", async () => {
    await using server = await startRedis();
    const redis = new Redis({ path: server.path });
    try {
      await redis.rpush("jobs", "first");
      expect(await withScope((scope) => pop(scope, redis, "jobs"))).toBe("first");

      const blocked = async (): Promise<number> =>
        Number(/blocked_clients:(\d+)/.exec(await redis.info("clients"))?.[1]);
      const scope = createScope();
      const waiting = pop(scope, redis, "jobs");
      waiting.catch(() => {});
      await eventually(async () => expect(await blocked()).toBe(1));
      scope.cancel();
      await expect(waiting).rejects.toBe(scope.reason);
      await eventually(async () => expect(await blocked()).toBe(0));
      await scope.close();
    } finally {
      redis.disconnect();
    }
  });
});
