import { AsyncLocalStorage } from "node:async_hooks";
import { readFile } from "node:fs/promises";
import { once } from "node:events";
import { scrypt } from "node:crypto";
import { createConnection, createServer, type AddressInfo } from "node:net";
import { isDeepStrictEqual, promisify } from "node:util";
import { run, sleep as effectionSleep } from "effection";
import { afterEach, describe, expect, it, vi } from "vitest";
import {
  createScope,
  DeadlineExceededError,
  retry,
  shield,
  sleep,
  spawn,
  StuckTasksError,
  supervise,
  ticker,
  withScope,
  type Scope,
} from "../../index.js";
import { rejection } from "../../../test/support/deferred.js";
import { VirtualClockError, withVirtualClock } from "../index.js";

const HOUR = 3_600_000;
const real = { setTimeout, clearTimeout, setInterval, clearInterval, Date };
const realNow = performance.now.bind(performance);

afterEach(() => {
  vi.useRealTimers();
  // After each test the real timers are back.
  const now = { setTimeout, clearTimeout, setInterval, clearInterval, Date };
  if (!isDeepStrictEqual(now, real) || Object.hasOwn(performance, "now")) throw new Error("still fake");
});

/** How far the virtual clock is from where it began, after each of `steps`. */
async function times(body: (scope: Scope, tick: () => void) => Promise<unknown>): Promise<number[]> {
  const log: number[] = [];
  await withVirtualClock((scope, clock) => body(scope, () => log.push(clock.now)), { start: 0 });
  return log;
}

describe("withVirtualClock()", () => {
  it("makes hours of sleep take no time", async () => {
    const before = realNow();
    const value = await withVirtualClock(
      async (scope, clock) => {
        await sleep(scope, 100 * 24 * HOUR); // longer than a timer can be
        return [clock.now, Date.now(), new Date().getTime(), performance.now() > 100 * 24 * HOUR];
      },
      { start: new Date(1_000) },
    );
    const end = 1_000 + 100 * 24 * HOUR;
    expect(value).toEqual([end, end, end, true]);
    expect(realNow() - before).toBeLessThan(5_000);
  });

  it("begins at the current time by default, and restores the real clock", async () => {
    const before = Date.now();
    const start = await withVirtualClock(() => Date.now());
    expect(start - before).toBeGreaterThanOrEqual(0);
    await withVirtualClock((scope) => sleep(scope, HOUR));
    expect(Date.now() - before).toBeLessThan(HOUR);
  });

  it("wakes sleepers in the order of their time", async () => {
    const log: string[] = [];
    await withVirtualClock(async (scope) => {
      for (const ms of [300, 100, 200]) spawn(scope, (own) => sleep(own, ms).then(() => log.push(`${ms}`)));
      await sleep(scope, 150);
      log.push("150");
    });
    expect(log).toEqual(["100", "150", "200", "300"]);
  });

  it("does not advance while code computes", async () => {
    expect(
      await times(async (scope, tick) => {
        tick();
        await Promise.resolve();
        for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
        tick();
        await sleep(scope, 5);
        tick();
      }),
    ).toEqual([0, 0, 5]);
  });

  it("drives tickers, intervals and other timers", async () => {
    expect(
      await times(async (scope, tick) => {
        for await (const instant of ticker(scope, 10)) {
          tick();
          if (instant === 30) break;
        }
        const interval = setInterval(tick, 100);
        await new Promise((resolve) => setTimeout(resolve, 250));
        clearInterval(interval);
      }),
    ).toEqual([10, 20, 30, 130, 230]);
  });

  it("drives deadlines", async () => {
    const error = await withVirtualClock((scope) =>
      rejection(withScope(scope, { timeout: HOUR }, (own) => sleep(own, Infinity))),
    );
    expect(error).toBeInstanceOf(DeadlineExceededError);
  });

  it("drives retries and their delays", async () => {
    const failure = new Error("down");
    const log = await times(async (scope, tick) => {
      const worker = async (): Promise<never> => {
        tick();
        throw failure;
      };
      const options = { attempts: 4, minDelay: 1_000, jitter: false };
      expect(await rejection(retry(scope, worker, options))).toBe(failure);
    });
    expect(log).toEqual([0, 1_000, 3_000, 7_000]);
  });

  it("drives supervisors", async () => {
    const log = await times(async (scope, tick) => {
      let calls = 0;
      await supervise(
        scope,
        async (own) => {
          tick();
          await sleep(own, HOUR);
          if (++calls < 3) throw new Error("crash");
        },
        { minDelay: 500, maxDelay: 500 },
      );
      expect(calls).toBe(3);
    });
    expect(log.length).toBe(3);
    expect(log[2]).toBeGreaterThanOrEqual(2 * HOUR);
  });

  it("drives grace periods", async () => {
    let free!: () => void;
    const error = await withVirtualClock(async () => {
      const scope = createScope({ name: "server" });
      spawn(scope, () => new Promise<void>((resolve) => (free = resolve)), { name: "stuck" });
      const stuck = await rejection(scope.close({ grace: HOUR }));
      free();
      await scope.close();
      return stuck;
    });
    expect(error).toBeInstanceOf(StuckTasksError);
  });

  it("drives shields", async () => {
    const log: string[] = [];
    await withVirtualClock(async (scope) => {
      const outcome = withScope(scope, { timeout: 10 }, async (own) => {
        own.defer(() =>
          shield(own, { timeout: HOUR }, async (inner) => {
            await sleep(inner, HOUR / 2);
            log.push("goodbye");
          }),
        );
        await sleep(own, HOUR);
      });
      await rejection(outcome);
    });
    expect(log).toEqual(["goodbye"]);
  });

  it("drives Effection's sleep", async () => {
    const log = await times(async (_, tick) => {
      await run(() => effectionSleep(HOUR));
      tick();
    });
    expect(log).toEqual([HOUR]);
  });

  it("runs the callback of a timer in the async context in which it was set", async () => {
    const storage = new AsyncLocalStorage<string>();
    const seen = await withVirtualClock(() =>
      storage.run(
        "mine",
        () => new Promise((resolve) => setTimeout(() => resolve(storage.getStore()), HOUR)),
      ),
    );
    expect(seen).toBe("mine");
  });

  it("passes the callback its arguments, and lets util.promisify have its promise", async () => {
    const values = await withVirtualClock(async () => [
      await new Promise((resolve) => setTimeout(resolve, HOUR, "argument")),
      await promisify(setTimeout)(HOUR, "promised"),
    ]);
    expect(values).toEqual(["argument", "promised"]);
  });

  it("waits for real files before it jumps", async () => {
    const error = await withVirtualClock((scope) =>
      withScope(scope, { timeout: 1 }, async () => (await readFile(import.meta.filename)).length),
    );
    expect(error).toBeGreaterThan(0);
  });

  it("waits for real cryptography before it jumps", async () => {
    const key = await withVirtualClock((scope) =>
      withScope(scope, { timeout: 1 }, () => promisify(scrypt)("password", "salt", 64)),
    );
    expect(key).toBeInstanceOf(Buffer);
  });

  it("waits for real sockets of this process before it jumps", async () => {
    const server = createServer((socket) => socket.pipe(socket)).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const echo = await withVirtualClock((scope) =>
      withScope(scope, { timeout: 1 }, async () => {
        const socket = createConnection(port, "127.0.0.1");
        let text = "";
        for (let round = 0; round < 20; round++) {
          socket.write(`${round} `);
          text += String((await once(socket, "data"))[0]);
        }
        socket.destroy();
        return text;
      }),
    );
    expect(echo).toBe(`${Array.from({ length: 20 }, (_, round) => round).join(" ")} `);
    server.close();
  });

  it("passes on the error that the body throws, the same object", async () => {
    const error = new Error("mine");
    const thrown = await rejection(
      withVirtualClock(() => {
        throw error;
      }),
    );
    expect(thrown).toBe(error);
  });

  it("waits for the tasks of its scope, in virtual time", async () => {
    const log = await times(async (scope, tick) => {
      spawn(scope, (own) => sleep(own, HOUR).then(tick));
    });
    expect(log).toEqual([HOUR]);
  });

  it("is cancelled by a signal, such as that of a test that times out", async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const error = await rejection(
      withVirtualClock(
        (scope) => {
          setTimeout(() => controller.abort(), HOUR);
          return sleep(scope, Infinity);
        },
        { signal },
      ),
    );
    expect(error).toMatchObject({ kind: "signal", cause: signal.reason });
  });

  it("drops the timers that are left", async () => {
    const fired = vi.fn<() => void>();
    await withVirtualClock(() => void setTimeout(fired, 1));
    expect(fired).not.toHaveBeenCalled();
  });

  describe("when everything is blocked", () => {
    const options = { blockedAfter: 1 } as const;

    it("rejects with an error that names the tasks, after their cleanup", async () => {
      const log: string[] = [];
      const error = await rejection(
        withVirtualClock(async (scope) => {
          spawn(scope, async function forgotten(own) {
            own.defer(() => sleep(own, HOUR).catch(() => log.push("cleaned up")));
            await sleep(own, Infinity);
          });
          await sleep(scope, 10);
          log.push("slept");
          await sleep(scope, Infinity);
        }, options),
      );
      expect(error).toBeInstanceOf(VirtualClockError);
      expect(error).toMatchObject({ code: "BOUGH_BLOCKED" });
      expect((error as Error).message).toContain("forgotten  task");
      expect(JSON.stringify((error as VirtualClockError).tree)).toContain('"name":"forgotten"');
      expect(log).toEqual(["slept", "cleaned up"]);
    });

    it("lets cleanups take their virtual time", async () => {
      const log: string[] = [];
      const error = await rejection(
        withVirtualClock(async (scope) => {
          scope.defer(() =>
            shield(scope, { timeout: HOUR }, (own) => sleep(own, 10).then(() => log.push("bye"))),
          );
          await sleep(scope, Infinity);
        }, options),
      );
      expect(error).toMatchObject({ code: "BOUGH_BLOCKED" });
      expect(log).toEqual(["bye"]);
    });

    it("rejects although something ignores the cancellation", async () => {
      let free!: () => void;
      const error = await rejection(
        withVirtualClock(() => new Promise<void>((resolve) => (free = resolve)), options),
      );
      expect(error).toMatchObject({ code: "BOUGH_BLOCKED" });
      free();
    });

    it("continues as long as real operations end", async () => {
      const value = await withVirtualClock(
        () => new Promise((resolve) => real.setTimeout(resolve, 30, "real")),
        { blockedAfter: 5_000 },
      );
      expect(value).toBe("real");
    });

    it("reports time that advances for ever", async () => {
      const error = await rejection(
        withVirtualClock(
          async (scope) => {
            const interval = setInterval(() => undefined, 1_000);
            scope.defer(() => clearInterval(interval));
            await sleep(scope, Infinity);
          },
          { jumps: 20 },
        ),
      );
      expect(error).toMatchObject({ code: "BOUGH_ENDLESS" });
    });
  });

  describe("without autojump", () => {
    it("moves only by advance(), and runs everything that is due on the way", async () => {
      const log: string[] = [];
      await withVirtualClock(
        async (scope, clock) => {
          spawn(scope, async (own) => {
            for (const step of ["a", "b", "c"]) {
              await sleep(own, 100);
              log.push(`${step} ${clock.now}`);
            }
          });
          await clock.advance(99);
          expect([log, clock.now, clock.timers]).toEqual([[], 99, 1]);
          await clock.advance(151);
          expect([log, clock.now]).toEqual([["a 100", "b 200"], 250]);
          await clock.advance(50);
          expect(log).toEqual(["a 100", "b 200", "c 300"]);
          await clock.advance(0);
          await clock.advance(30 * 24 * HOUR); // longer than a timer can be
          expect(clock.now).toBe(300 + 30 * 24 * HOUR);
        },
        { autojump: false, start: 0 },
      );
    });

    it("is blocked when it is not advanced", async () => {
      const error = await rejection(
        withVirtualClock((scope) => sleep(scope, 1), { autojump: false, blockedAfter: 1 }),
      );
      expect(error).toMatchObject({ code: "BOUGH_BLOCKED" });
      expect((error as Error).message).toContain("a timer waits for advance()");
    });

    it.each([
      [-1, RangeError],
      [NaN, RangeError],
      [Infinity, RangeError],
      ["1", TypeError],
      [undefined, TypeError],
    ])("advance() refuses %s", async (ms, type) => {
      await withVirtualClock(async (_, clock) => {
        expect(await rejection(clock.advance(ms as number))).toBeInstanceOf(type);
        expect(clock.timers).toBe(0);
      });
    });
  });

  describe("together with vitest's fake timers", () => {
    it("drives the timers of vi.useFakeTimers(), and leaves them in place", async () => {
      vi.useFakeTimers({ now: 1_000 });
      const faked = globalThis.setTimeout;
      await withVirtualClock(async (scope, clock) => {
        expect(globalThis.setTimeout).toBe(faked);
        await sleep(scope, HOUR);
        expect([clock.now, Date.now()]).toEqual([1_000 + HOUR, 1_000 + HOUR]);
        const slept = sleep(scope, 50);
        vi.advanceTimersByTime(50); // vitest's own functions work, too
        await slept;
        await new Promise((resolve) => setImmediate(resolve)); // which vitest fakes
      });
      expect(vi.isFakeTimers()).toBe(true);
      expect(globalThis.setTimeout).toBe(faked);
      const fired = vi.fn<() => void>();
      setTimeout(fired, 10);
      await new Promise((resolve) => real.setTimeout(resolve, 20));
      expect(fired).not.toHaveBeenCalled(); // driven no longer
      vi.advanceTimersByTime(10);
      expect(fired).toHaveBeenCalledOnce();
    });

    it("refuses vi.useFakeTimers() inside, and works on", async () => {
      await withVirtualClock(async (scope) => {
        expect(() => vi.useFakeTimers()).toThrow(TypeError);
        await sleep(scope, HOUR);
      });
    });

    it("refuses to start where only Date is faked", async () => {
      vi.setSystemTime(0);
      expect(await rejection(withVirtualClock(() => 1))).toMatchObject({ code: "BOUGH_CLOCK_INSTALLED" });
    });
  });

  it("refuses a second clock inside its body, and works again after that", async () => {
    await withVirtualClock(async (scope) => {
      expect(await rejection(withVirtualClock(() => 1))).toMatchObject({ code: "BOUGH_CLOCK_INSTALLED" });
      await sleep(scope, HOUR);
    });
    expect(await withVirtualClock(() => 2)).toBe(2);
  });

  it.each([
    ["a body that is none", [undefined], TypeError],
    ["options that are none", [() => 1, null], TypeError],
    ["autojump", [() => 1, { autojump: 1 }], TypeError],
    ["start", [() => 1, { start: "now" }], TypeError],
    ["start", [() => 1, { start: new Date(NaN) }], RangeError],
    ["quiet", [() => 1, { quiet: -1 }], RangeError],
    ["quiet", [() => 1, { quiet: Infinity }], RangeError],
    ["blockedAfter", [() => 1, { blockedAfter: "1" }], TypeError],
    ["jumps", [() => 1, { jumps: 0 }], RangeError],
    ["jumps", [() => 1, { jumps: "1" }], TypeError],
  ])("refuses %s", async (_, given, type) => {
    const call = withVirtualClock as (...given: unknown[]) => Promise<unknown>;
    const error = await rejection(call(...given));
    expect(error).toBeInstanceOf(type);
  });
});
