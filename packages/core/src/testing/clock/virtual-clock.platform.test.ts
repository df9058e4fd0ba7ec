import { AsyncLocalStorage } from "node:async_hooks";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { get, createServer } from "node:http";
import { connect, createServer as createTcpServer, type AddressInfo } from "node:net";
import { createRequire } from "node:module";
import {
  setInterval as nodesSetInterval,
  setTimeout as nodesSetTimeout,
  clearTimeout as nodesClearTimeout,
} from "node:timers";
import * as nodesTimers from "node:timers";
import { scheduler, setInterval as every, setTimeout as wait } from "node:timers/promises";
import { performance as nodesPerformance } from "node:perf_hooks";
import { isDeepStrictEqual, promisify } from "node:util";
import axios from "axios";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { sleep, type Scope } from "../../index.js";
import { rejection } from "../../../test/support/deferred.js";
import { withVirtualClock } from "../index.js";

const HOUR = 3_600_000;
const require = createRequire(import.meta.url);
/** The current values of all globals that a clock replaces. */
const platform = (): object => ({
  ...(require("node:timers") as object),
  ...(require("node:timers/promises") as object),
  abortTimeout: Reflect.get(AbortSignal, "timeout") as unknown,
  wait,
  every,
  nodesSetTimeout,
  schedulerWait: Reflect.get(scheduler, "wait") as unknown,
});
const before = platform();
const valueOf = <T>(holder: object, name: string): T => (holder as Record<string, T>)[name] as T;
const promisifiedBefore = promisify(setTimeout);
const keptSetTimeout = setTimeout;

afterEach(() => {
  vi.useRealTimers();
  if (!isDeepStrictEqual(platform(), before)) throw new Error("still fake");
});

/** How many virtual milliseconds `body` takes. */
function took(body: (scope: Scope) => unknown): Promise<number> {
  return withVirtualClock(async (scope) => {
    const start = Date.now();
    await body(scope);
    return Date.now() - start;
  });
}

const aborted = (signal: AbortSignal): Promise<unknown> => once(signal, "abort");

describe("under a virtual clock", () => {
  it.each<[string, () => unknown]>([
    ["AbortSignal.timeout", () => aborted(AbortSignal.timeout(HOUR))],
    [
      "AbortSignal.any of it",
      () => aborted(AbortSignal.any([AbortSignal.timeout(HOUR), AbortSignal.timeout(2 * HOUR)])),
    ],
    ["setTimeout of node:timers", () => new Promise((resolve) => nodesSetTimeout(resolve, HOUR))],
    [
      "require('timers').setTimeout",
      () => new Promise((resolve) => (require("timers") as typeof nodesTimers).setTimeout(resolve, HOUR)),
    ],
    ["setTimeout of node:timers/promises", () => wait(HOUR)],
    ["timers.promises.setTimeout", () => nodesTimers.promises.setTimeout(HOUR)],
    ["scheduler.wait", () => scheduler.wait(HOUR)],
    ["util.promisify(setTimeout)", () => promisify(setTimeout)(HOUR)],
  ])("%s is virtual", async (_, body) => {
    expect(await took(body)).toBe(HOUR);
  });

  it("a loop that polls AbortSignal.timeout ends when its time is up", async () => {
    const ms = await took(async (scope) => {
      const signal = AbortSignal.timeout(1_000);
      while (!signal.aborted) await sleep(scope, 100);
    });
    expect(ms).toBe(1_000);
  });

  it("AbortSignal.timeout has Node's reason, and refuses what Node refuses", async () => {
    await withVirtualClock(async () => {
      const signal = AbortSignal.timeout(HOUR);
      await aborted(signal);
      expect(signal.reason).toMatchObject({
        name: "TimeoutError",
        message: "The operation was aborted due to timeout",
      });
      expect(signal.reason).toBeInstanceOf(DOMException);
      expect(() => AbortSignal.timeout(-1)).toThrow(RangeError);
      expect(() => AbortSignal.timeout("1" as never)).toThrow(TypeError);
    });
  });

  it("fetch with AbortSignal.timeout gives up in virtual time", async () => {
    const server = createServer(() => undefined).listen(0, "127.0.0.1");
    onTestFinished(() => server.close().closeAllConnections());
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const error = await withVirtualClock(() =>
      rejection(fetch(url, { signal: AbortSignal.timeout(60_000) })),
    );
    expect(error).toMatchObject({ name: "TimeoutError" });
  });

  it("setTimeout of node:timers/promises has its value, and Node's error when it is aborted", async () => {
    await withVirtualClock(async () => {
      expect(await wait(HOUR, "value")).toBe("value");
      const reason = new Error("enough");
      const controller = new AbortController();
      setTimeout(() => controller.abort(reason), HOUR);
      const start = Date.now();
      const { signal } = controller;
      expect(await rejection(wait(2 * HOUR, 1, { signal }))).toMatchObject({
        code: "ABORT_ERR",
        cause: reason,
      });
      expect(Date.now() - start).toBe(HOUR);
      expect(await rejection(wait(HOUR, 1, { signal }))).toMatchObject({ code: "ABORT_ERR", cause: reason });
      expect(await rejection(wait(HOUR, 1, { signal: 1 as never }))).toBeInstanceOf(TypeError);
    });
  });

  it("setInterval of node:timers/promises and of node:timers are virtual, and end", async () => {
    const ms = await took(async () => {
      let count = 0;
      for await (const value of every(HOUR, "tick")) {
        expect(value).toBe("tick");
        if (++count === 3) break;
      }
      await new Promise<void>((resolve) => {
        const interval = nodesSetInterval(() => {
          if (++count < 5) return;
          nodesClearTimeout(interval);
          resolve();
        }, HOUR);
      });
      const controller = new AbortController();
      setTimeout(() => controller.abort(), HOUR);
      const iterate = async (): Promise<void> => {
        for await (const _ of every(10 * HOUR, 1, { signal: controller.signal })) count += 1;
      };
      expect(await rejection(iterate())).toMatchObject({ code: "ABORT_ERR" });
      expect(count).toBe(5);
    });
    expect(ms).toBe(6 * HOUR);
  });

  it("performance.now follows Date, also when it is imported from node:perf_hooks", async () => {
    await withVirtualClock(
      async (scope) => {
        const start = [Date.now(), performance.now(), nodesPerformance.now()] as const;
        await sleep(scope, HOUR);
        expect([
          Date.now() - start[0],
          performance.now() - start[1],
          nodesPerformance.now() - start[2],
        ]).toEqual([HOUR, HOUR, HOUR]);
      },
      { start: 0 },
    );
  });

  it("the async context of a timer of node:timers/promises is the caller's", async () => {
    const storage = new AsyncLocalStorage<string>();
    const seen = await withVirtualClock(() =>
      storage.run("mine", async () => {
        await wait(HOUR);
        return storage.getStore();
      }),
    );
    expect(seen).toBe("mine");
  });

  it("functions of the clock that a library has stored continue in real time after it", async () => {
    const kept = await withVirtualClock(
      async () => ({
        Date,
        now: Date.now,
        performanceNow: valueOf<() => number>(performance, "now"),
        setTimeout,
        wait: promisify(setTimeout),
        nodesWait: (require("node:timers/promises") as { setTimeout: typeof wait }).setTimeout,
        timeout: valueOf<(ms: number) => AbortSignal>(AbortSignal, "timeout"),
      }),
      { start: 0 },
    );
    expect(kept.now()).toBeGreaterThanOrEqual(Date.now() - 1_000);
    expect(new kept.Date().getTime()).toBeGreaterThanOrEqual(Date.now() - 1_000);
    expect(Math.abs(kept.performanceNow() - performance.now())).toBeLessThan(1_000);
    await new Promise((resolve) => kept.setTimeout(resolve, 1));
    await kept.wait(1);
    await kept.nodesWait(1);
    await aborted(kept.timeout(1));
  });

  it("works with vitest's fake timers, and leaves those in place", async () => {
    vi.useFakeTimers({ now: 0 });
    expect(await took(() => aborted(AbortSignal.timeout(HOUR)))).toBe(HOUR);
    expect(await took(() => wait(HOUR))).toBe(HOUR);
    expect(vi.isFakeTimers()).toBe(true);
    vi.useRealTimers();
    await wait(1);
  });

  describe("a timer that can't be virtual is reported once", () => {
    async function warnings(body: (scope: Scope) => Promise<unknown>): Promise<string[]> {
      const heard: string[] = [];
      const listen = (warning: Error & { code?: string }): void => {
        if (warning.code === "BOUGH_REAL_TIME") heard.push(warning.message);
      };
      process.on("warning", listen);
      await withVirtualClock(body, { blockedAfter: 5_000 });
      await new Promise((resolve) => setImmediate(resolve)); // warnings come a tick later
      process.off("warning", listen);
      return heard;
    }

    it("when it is the timeout of a child process", async () => {
      const heard = await warnings(async () => {
        for (let round = 0; round < 2; round++) {
          const child = execFile(process.execPath, ["-e", "setInterval(() => {}, 1_000)"], { timeout: 20 });
          child.on("error", () => undefined);
          await once(child, "exit");
        }
      });
      expect(heard).toHaveLength(1);
      expect(heard[0]).toContain("the timeout of a child process is in real time");
      expect(heard[0]).toContain("virtual-clock.platform.test.ts");
    });

    it("when it is setTimeout of a socket", async () => {
      const server = createTcpServer(() => undefined).listen(0, "127.0.0.1");
      await once(server, "listening");
      const heard = await warnings(async () => {
        const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
        socket.setTimeout(10);
        await once(socket, "timeout");
        socket.destroy();
      });
      server.close();
      expect(heard).toEqual([expect.stringContaining("a time-out of a socket or an HTTP message")]);
    });

    it.each<[string, (url: string) => Promise<unknown>]>([
      [
        "the timeout of http.get",
        (url) =>
          new Promise((resolve) =>
            get(url, { timeout: 10_000 }, (answer) => answer.resume().on("end", resolve)),
          ),
      ],
      ["the timeout of axios", (url) => axios.get(url, { timeout: 10_000 })],
      [
        "setTimeout of a request",
        (url) =>
          new Promise((resolve) =>
            get(url, (answer) => answer.resume().on("end", resolve)).setTimeout(10_000),
          ),
      ],
    ])("when it is %s", async (_, call) => {
      const server = createServer((__, response) => response.end("ok")).listen(0, "127.0.0.1");
      await once(server, "listening");
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
      const heard = await warnings(() => call(url));
      server.close().closeAllConnections();
      expect(heard).toEqual([expect.stringContaining("a time-out of a socket or an HTTP message")]);
    });

    it("when it is a setTimeout or util.promisify(setTimeout) that was read before the clock was installed", async () => {
      const heard = await warnings(async () => {
        await promisifiedBefore(1);
        await new Promise((resolve) => keptSetTimeout(resolve, 1));
      });
      expect(heard).toEqual([
        expect.stringContaining("util.promisify(setTimeout) that was taken before"),
        expect.stringContaining("a setTimeout that was taken before"),
      ]);
    });

    it("but not when it is a default time-out of an HTTP server", async () => {
      const heard = await warnings(async () => {
        const server = createServer((_, response) => response.end("ok")).listen(0, "127.0.0.1");
        await once(server, "listening");
        const { port } = server.address() as AddressInfo;
        await new Promise((resolve) =>
          get({ port, host: "127.0.0.1" }, (answer) => answer.resume().on("end", resolve)),
        );
        server.close().closeAllConnections();
      });
      expect(heard).toEqual([]);
    });
  });
});
