import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Agent, fetch as undiciFetch } from "undici";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { createScope, sleep, spawn } from "../../index.js";
import { formatTree, snapshot } from "../../inspect/index.js";
import { rejection } from "../../../test/support/deferred.js";
import { findLeaks, LeakError, verifyNoLeaks, withVirtualClock } from "../index.js";

const HOUR = 3_600_000;
const keptClearTimeout = clearTimeout;

afterEach(() => {
  vi.useRealTimers();
});

describe("after a virtual clock", () => {
  it("the header time-out of undici works as before, whether it was used before the clock or not", async () => {
    const server = createServer(() => undefined).listen(0, "127.0.0.1");
    onTestFinished(() => server.close().closeAllConnections());
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const call = async (): Promise<unknown> => {
      const dispatcher = new Agent({ headersTimeout: 1_001 }); // above 1 s it is by a timer of the whole module
      try {
        return await undiciFetch(url, { dispatcher });
      } catch (error) {
        return ((error as Error).cause as Error).name;
      } finally {
        await dispatcher.destroy();
      }
    };
    expect(await withVirtualClock(call)).toBe("HeadersTimeoutError");
    expect(await call()).toBe("HeadersTimeoutError"); // in real time
    expect(await withVirtualClock(call)).toBe("HeadersTimeoutError");
  }, 20_000);

  it("refresh() starts a timer that has fired under the clock, in real time", async () => {
    const fired = vi.fn<() => void>();
    const timer = await withVirtualClock(async (scope) => {
      const made = setTimeout(fired, 1);
      await sleep(scope, 10);
      return made;
    });
    expect(fired).toHaveBeenCalledTimes(1);
    expect(timer.refresh()).toBe(timer);
    await vi.waitFor(() => expect(fired).toHaveBeenCalledTimes(2), 10_000);
  });

  it("refresh() starts a timer that was still pending, and an interval", async () => {
    const fired = vi.fn<() => void>();
    const ticked = vi.fn<() => void>();
    const [timer, interval] = await withVirtualClock(
      () => [setTimeout(fired, 1), setInterval(ticked, 1)] as const,
    );
    expect(fired).not.toHaveBeenCalled();
    timer.refresh();
    interval.refresh();
    await vi.waitFor(() => expect(ticked.mock.calls.length).toBeGreaterThan(2), 10_000);
    expect(fired).toHaveBeenCalledTimes(1);
    clearInterval(interval);
  });

  it.each<[string, (timer: NodeJS.Timeout) => unknown]>([
    ["clearTimeout", (timer) => clearTimeout(timer)],
    ["a clearTimeout that was kept", (timer) => keptClearTimeout(timer)],
    ["clearTimeout of its number", (timer) => clearTimeout(Number(timer))],
    ["close()", (timer) => timer.close()],
    ["using", (timer) => timer[Symbol.dispose]()],
  ])("%s ends a timer that was started again", async (name, clear) => {
    const fired = vi.fn<() => void>();
    const timer = await withVirtualClock(() => setTimeout(fired, 1));
    const other = vi.fn<() => void>();
    timer.refresh();
    if (name.includes("number")) {
      // Node knows the number of none of its own timers: only the clock under which it is pending does.
      await withVirtualClock((scope) => {
        timer.refresh();
        clear(timer);
        return sleep(scope, 10);
      });
    } else clear(timer);
    setTimeout(other, 2);
    await vi.waitFor(() => expect(other).toHaveBeenCalled(), 10_000);
    expect(fired).not.toHaveBeenCalled();
    timer.refresh(); // as in Node, what was cleared does not come back
    await new Promise((resolve) => setTimeout(resolve, 3));
    expect(fired).not.toHaveBeenCalled();
  });

  it("refresh() under a later clock follows that one, also of a timer from before any", async () => {
    const fired = vi.fn<() => void>();
    const real = setTimeout(fired, HOUR);
    real.unref();
    const virtual = await withVirtualClock(() => setTimeout(fired, HOUR));
    await withVirtualClock(async (scope) => {
      real.refresh();
      virtual.refresh();
      await sleep(scope, HOUR - 1);
      expect(fired).not.toHaveBeenCalled();
      await sleep(scope, 2);
      expect(fired).toHaveBeenCalledTimes(2);
      real.refresh();
      virtual.refresh();
      clearTimeout(real);
      clearTimeout(virtual);
      await sleep(scope, 2 * HOUR);
      expect(fired).toHaveBeenCalledTimes(2);
    });
  });

  it("clears, under the clock, timers that were set before it", async () => {
    const fired = vi.fn<() => void>();
    const timer = setTimeout(fired, 1);
    const interval = setInterval(fired, 1);
    await withVirtualClock((scope) => {
      clearTimeout(timer);
      clearInterval(interval);
      return sleep(scope, HOUR);
    });
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(fired).not.toHaveBeenCalled();
  });

  it("an unrefed timer, which may belong to a library, continues in real time", async () => {
    const reset = vi.fn<() => void>();
    await withVirtualClock(() => void setTimeout(reset, 1).unref());
    await vi.waitFor(() => expect(reset).toHaveBeenCalledTimes(1), 10_000);
  });

  it("an unrefed interval continues until it is cleared", async () => {
    const tick = vi.fn<() => void>();
    const interval = await withVirtualClock(() => setInterval(tick, 1).unref());
    await vi.waitFor(() => expect(tick.mock.calls.length).toBeGreaterThan(1), 10_000);
    clearInterval(interval);
    const { length } = tick.mock.calls;
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(tick).toHaveBeenCalledTimes(length);
  });

  it("a timer has the members of Node's timers", async () => {
    await withVirtualClock(async (scope) => {
      const timer = setTimeout(() => undefined, HOUR);
      expect(timer.hasRef()).toBe(true);
      expect(timer.unref().hasRef()).toBe(false);
      expect(timer.ref().hasRef()).toBe(true);
      expect(Number(timer)).toBeGreaterThan(0);
      clearTimeout(String(Number(timer)));
      const fired = vi.fn<(...given: unknown[]) => void>();
      setTimeout(fired, 1, "a", 2);
      clearTimeout(undefined);
      clearTimeout(null as never);
      clearTimeout({} as never);
      await sleep(scope, 1);
      expect(fired).toHaveBeenCalledWith("a", 2);
      expect(() => Reflect.apply(setTimeout, undefined, ["code"])).toThrow(TypeError);
    });
  });

  it("a scope that was left open is marked in snapshots and leak reports, one from before and one from after are not", async () => {
    const outer = createScope({ name: "before" });
    const scope = await withVirtualClock(async (own) => {
      await sleep(own, HOUR);
      spawn(outer, (task) => sleep(task, Infinity), { name: "child" });
      const made = createScope({ name: "left" });
      spawn(made, (task) => sleep(task, Infinity), { name: "sleeper" });
      expect(snapshot(made)).not.toHaveProperty("leftByClock");
      return made;
    });
    const after = createScope({ name: "after" });
    expect(snapshot(scope)).toMatchObject({ leftByClock: true, children: [{ leftByClock: true }] });
    expect(formatTree(snapshot(scope))).toMatch(
      /^left .*left by an earlier virtual clock\n.*sleeper .*left by an earlier/,
    );
    expect(snapshot(outer)).not.toHaveProperty("leftByClock");
    expect(snapshot(outer).children[0]).toMatchObject({ name: "child", leftByClock: true });
    expect(snapshot(after)).not.toHaveProperty("leftByClock");
    const leaks = await findLeaks({ timeout: 0, resources: false });
    expect(leaks.find(({ path }) => path === "left")).toMatchObject({ leftByClock: true });
    expect(leaks.find(({ path }) => path === "after")).not.toHaveProperty("leftByClock");
    const error = await rejection(verifyNoLeaks({ timeout: 0, resources: false, ignore: /^(?!left$)/ }));
    expect(error).toBeInstanceOf(LeakError);
    expect((error as Error).message).toMatch(/scope left \(.*, left by an earlier virtual clock\)/);
    await Promise.all([outer.close(), scope.close(), after.close()]);
  });
});
