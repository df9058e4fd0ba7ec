import { createServer } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { sleep } from "../../flow/time/sleep.js";
import { createScope } from "../../task/create-scope.js";
import { spawn } from "../../task/spawn.js";
import { withScope } from "../../task/with-scope.js";
import {
  collectGarbage,
  expectNoLeaks,
  findLeaks,
  LeakError,
  recordOrigins,
  type LeakOptions,
} from "../index.js";

const never = (): Promise<never> => new Promise(() => {});

async function leaksOf(body: () => unknown, options?: LeakOptions): Promise<LeakError> {
  const error: unknown = await expectNoLeaks(body, { timeout: 0, ...options }).catch(
    (thrown: unknown) => thrown,
  );
  if (error instanceof LeakError) return error;
  throw error === undefined ? new Error("found no leak") : error;
}

describe("expectNoLeaks()", () => {
  it("resolves with the value of a body that leaves nothing", async () => {
    const value = await expectNoLeaks(async () => {
      await using scope = createScope({ name: "closed" });
      spawn(scope, (task) => sleep(task, 60_000));
      return 42;
    });
    expect(value).toBe(42);
  });

  it("finds a scope, and says at which line it was made, in its stack too", async () => {
    const { leaks, message, stack } = await leaksOf(() => {
      const scope = createScope({ name: "forgotten" });
      onTestFinished(() => scope.close());
    });
    expect(leaks).toMatchObject([{ kind: "scope", path: "forgotten", status: "open" }]);
    expect(leaks[0]?.spawnedAt).toMatch(/expect-no-leaks\.test\.ts:\d+:\d+/);
    expect(message).toMatch(
      /scope forgotten \(open, \d+ ms old\)\n {4}created at .*expect-no-leaks\.test\.ts/,
    );
    expect(stack?.split("\n").at(-1)).toMatch(/^ {4}at .*expect-no-leaks\.test\.ts:\d+:\d+/);
  });

  it("finds a timer, with its creation stack", async () => {
    const { leaks } = await leaksOf(function body() {
      const timer = setInterval(() => {}, 1_234);
      onTestFinished(() => clearInterval(timer));
    });
    expect(leaks).toMatchObject([
      { kind: "resource", type: "Timeout", name: "interval of 1234 ms", status: "active" },
    ]);
    expect(leaks[0]?.spawnedAt).toMatch(/^body \(.*expect-no-leaks\.test\.ts:\d+:\d+\)$/);
    expect(leaks[0]?.stack?.[0]).toBe(leaks[0]?.spawnedAt);
  });

  it("finds a server in the tick after listen, at the line of listen", async () => {
    const { leaks } = await leaksOf(() => {
      const server = createServer().listen(0, "127.0.0.1");
      onTestFinished(() => void server.close());
    });
    expect(leaks).toMatchObject([{ name: "TCP server" }]);
    expect(leaks[0]?.path).toMatch(/^TCP server 127\.0\.0\.1:\d+$/);
    expect(leaks[0]?.spawnedAt).toContain("expect-no-leaks.test.ts");
  });

  it("reports a task, and not the timer that bough runs for it", async () => {
    const { leaks } = await leaksOf(() => {
      const scope = createScope({ name: "owner" });
      onTestFinished(() => scope.close());
      spawn(scope, (task) => sleep(task, 60_000), { name: "sleeper" });
    });
    expect(leaks.map(({ path }) => path)).toEqual(["owner", "owner/sleeper"]);
  });

  it("rule 25: bodies that run at the same time don't see each other's", async () => {
    const shared = createScope({ name: "shared" });
    onTestFinished(() => shared.close());
    const results = await Promise.allSettled([
      expectNoLeaks(
        async () => {
          await Promise.resolve();
          spawn(shared, (task) => sleep(task, 60_000), { name: "leak" });
        },
        { timeout: 20 },
      ),
      expectNoLeaks(() => withScope(shared, (scope) => sleep(scope, 5)), { timeout: 20 }),
      expectNoLeaks(() => new Promise((resolve) => setTimeout(resolve, 10)), { timeout: 0 }),
    ]);
    expect(results.map(({ status }) => status)).toEqual(["rejected", "fulfilled", "fulfilled"]);
    const error = (results[0] as PromiseRejectedResult).reason as LeakError;
    expect(error.leaks.map(({ path }) => path)).toEqual(["shared/leak"]);
  });

  it("does not report things that were there before the body", async () => {
    const stop = recordOrigins();
    const scope = createScope({ name: "before" });
    spawn(scope, never);
    const timer = setInterval(() => {}, 60_000);
    await expectNoLeaks(() => {}, { timeout: 0 });
    clearInterval(timer);
    stop();
    scope.cancel();
  });

  it("lets findLeaks, when called inside, see only the work that the body has started", async () => {
    const outside = createScope({ name: "outside" });
    await expectNoLeaks(async () => {
      await using inside = createScope({ name: "inside" });
      expect((await findLeaks({ timeout: 0 })).map(({ path }) => path)).toEqual([inside.path]);
    });
    await outside.close();
  });

  it("rethrows the error of the body without a search for leaks", async () => {
    const failure = new Error("the test's own");
    const error: unknown = await expectNoLeaks(async () => {
      createScope({ name: "left by a failing body", onOrphan: "ignore" });
      throw failure;
    }).catch((thrown: unknown) => thrown);
    expect(error).toBe(failure);
  });

  it("finds a dropped scope even if it was already collected", async () => {
    let warned = 0;
    const count = (): void => void warned++;
    process.on("warning", count);
    const { leaks } = await leaksOf(async () => {
      (() => createScope({ name: "dropped" }))();
      await collectGarbage();
    });
    process.off("warning", count);
    expect(leaks).toMatchObject([{ path: "dropped", status: "orphaned" }]);
    expect(new LeakError(leaks, "after 1 s").message).toMatch(/scope dropped \(dropped without close, /);
    expect(warned).toBe(1);
  });

  it("accepts a dropped scope whose onOrphan allows that", async () => {
    await expectNoLeaks(
      () => {
        (() => createScope({ name: "droppable", onOrphan: "ignore" }))();
      },
      { timeout: 0 },
    );
  });

  const thrower = (): never => {
    throw new Error("a stack was asked for");
  };
  it.each<[string, keyof ErrorConstructor, PropertyDescriptor]>([
    ["stackTraceLimit throws when it is read", "stackTraceLimit", { get: thrower }],
    ["stackTraceLimit throws when it is written", "stackTraceLimit", { get: () => 10, set: thrower }],
    ["stackTraceLimit is read-only", "stackTraceLimit", { value: 10 }],
    ["stackTraceLimit is not a number", "stackTraceLimit", { value: "all", writable: true }],
    ["prepareStackTrace throws", "prepareStackTrace", { value: thrower, writable: true }],
  ])("finds a timer that was set while Error.%s", async (_, name, property) => {
    onTestFinished(recordOrigins());
    const { leaks } = await leaksOf(() => {
      const before = Object.getOwnPropertyDescriptor(Error, name) as PropertyDescriptor;
      Object.defineProperty(Error, name, { ...property, configurable: true });
      const timer = setInterval(() => {}, 60_000);
      Object.defineProperty(Error, name, before);
      onTestFinished(() => clearInterval(timer));
    });
    expect(leaks).toHaveLength(1);
  });

  it("accepts the ignore option of findLeaks", async () => {
    const scope = createScope({ name: "kept" });
    await expectNoLeaks(() => void spawn(scope, never, { name: "metrics" }), {
      ignore: "metrics",
      timeout: 0,
    });
    scope.cancel();
  });

  it("rejects a body that is not a function, and bad options", async () => {
    await expect(expectNoLeaks(5 as never)).rejects.toBeInstanceOf(TypeError);
    await expect(expectNoLeaks(() => {}, { timeout: -1 })).rejects.toBeInstanceOf(RangeError);
  });
});
