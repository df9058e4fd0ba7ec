import { createServer, IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi, type MockInstance } from "vitest";
import { flush } from "../../test/support/deferred.js";
import type * as Clock from "./monotonic-clock.js";
import type { Scope } from "./scope.js";

const loadedAt = 1_000_000;
let now: MockInstance<() => number>;
let clock: typeof Clock;

describe("the clock of ages", () => {
  beforeEach(async () => {
    vi.resetModules();
    now = vi.spyOn(Object.getPrototypeOf(performance) as typeof performance, "now").mockReturnValue(loadedAt);
    clock = await import("./monotonic-clock.js"); // takes our clock for the real one
    now.mockReturnValue(loadedAt + 10);
  });

  afterEach(() => void vi.restoreAllMocks());

  /** Asks `count` times; returns how often the clock was read. */
  function readings(count: number): number {
    now.mockClear();
    for (let index = 0; index < count; index++) clock.coarseElapsed();
    return now.mock.calls.length;
  }

  it("gives the right age at the end of a long synchronous burst", () => {
    expect(clock.coarseElapsed()).toBe(10);
    now.mockReturnValue(loadedAt + 510);
    expect(clock.coarseElapsed()).toBe(510);
    for (let index = 0; index < 3; index++) clock.coarseElapsed();
    now.mockReturnValue(loadedAt + 1_010);
    expect(clock.coarseElapsed()).toBe(1_010);
  });

  it("is read for one in sixty-four of many scopes that start in the same millisecond", () => {
    readings(5);
    expect(readings(6_400)).toBe(100);
  });

  it("is at most sixty-three scopes behind, however many have started before", () => {
    readings(1_000);
    now.mockReturnValue(loadedAt + 510);
    const seen = Array.from({ length: 64 }, () => clock.coarseElapsed());
    expect(seen.at(-1)).toBe(510);
  });

  it("is read again after the end of the burst", async () => {
    readings(6);
    now.mockReturnValue(loadedAt + 20);
    expect(clock.coarseElapsed()).toBe(10);
    await flush();
    expect(clock.coarseElapsed()).toBe(20);
  });

  it("is read once for each of many bursts of three scopes, and for each scope after a burst with only one", async () => {
    readings(8);
    const counts: number[] = [];
    for (const scopes of [3, 3, 3, 1, 3]) {
      await flush();
      counts.push(readings(scopes));
    }
    expect(counts).toEqual([1, 1, 1, 1, 3]);
  });

  it("is read for each scope of a burst that begins in another millisecond", async () => {
    readings(8);
    await flush();
    now.mockReturnValue(loadedAt + 20);
    expect(clock.coarseElapsed()).toBe(20);
    now.mockReturnValue(loadedAt + 520);
    expect(clock.coarseElapsed()).toBe(520);
  });

  it("reuses a reading until the configured end of the burst", async () => {
    let forget: (() => void) | undefined;
    clock.setBurstEnd((callback) => (forget = callback));
    readings(6);
    now.mockReturnValue(loadedAt + 20);
    await flush();
    expect(clock.coarseElapsed()).toBe(10);
    forget?.();
    expect(clock.coarseElapsed()).toBe(20);
    readings(6);
    now.mockReturnValue(loadedAt + 520);
    expect(clock.coarseElapsed()).toBe(20);
    clock.expireCoarseTime();
    expect(clock.coarseElapsed()).toBe(520);
  });

  it("gives each task its own age, before and after 500 ms of work in one turn", async () => {
    const { createScope, spawn } = await import("../index.js");
    const { snapshot } = await import("../inspect/index.js");
    const scope = createScope({ name: "root", onOrphan: "ignore" });
    const wait = (): Promise<never> => new Promise(() => {});
    spawn(scope, wait, { name: "before" });
    now.mockReturnValue(loadedAt + 510);
    spawn(scope, wait, { name: "after" });
    const ages = snapshot(scope).children.map(({ name, age }) => `${name} ${age}`);
    expect(ages).toEqual(["before 500", "after 0"]);
  });

  it.each(["all", "allSettled", "any", "race"] as const)(
    "gives the members of %s the age of the call",
    async (combinator) => {
      const bough = await import("../index.js");
      const { snapshot } = await import("../inspect/index.js");
      const scope = bough.createScope({ onOrphan: "ignore" });
      const wait = (own: Scope): Promise<never> => new Promise((_, reject) => own.onCancel(reject));
      const busy = (own: Scope): Promise<never> => {
        now.mockReturnValue(loadedAt + 510);
        return wait(own);
      };
      void bough[combinator](scope, [busy, wait]);
      bough.spawn(scope, wait);
      const [group, task] = snapshot(scope).children;
      expect(group?.children.map(({ age }) => age)).toEqual([500, 500]);
      expect(task?.age).toBe(0);
      await scope.close();
    },
  );

  it("gives each request its own age after another request blocked the event loop for 500 ms", async () => {
    const { createScope } = await import("../index.js");
    const { requestScope, serverScope } = await import("../http/index.js");
    const { snapshot } = await import("../inspect/index.js");
    const server = createServer();
    const handle = serverScope(server);
    for (let index = 0; index < 8; index++) createScope({ name: "of the slow request", onOrphan: "ignore" });
    now.mockReturnValue(loadedAt + 510);
    const request = new IncomingMessage(Object.assign(new Socket(), { server: undefined }));
    const scope = requestScope(request, new ServerResponse(request));
    expect(snapshot(scope).age).toBe(0);
    await handle.close();
  });

  it("is read once for a request and the tasks of its handler, and again for what its handler starts after an I/O", async () => {
    const { spawn } = await import("../index.js");
    const { requestScope, serverScope } = await import("../http/index.js");
    const { snapshot } = await import("../inspect/index.js");
    const handle = serverScope(createServer());
    const open = (): Scope => {
      const request = new IncomingMessage(Object.assign(new Socket(), { server: undefined }));
      return requestScope(request, new ServerResponse(request));
    };
    const wait = (own: Scope): Promise<never> => new Promise((_, reject) => own.onCancel(reject));
    const agesOf = (scope: Scope): number[] => snapshot(scope).children.map(({ age }) => age);
    open();
    const scope = open();
    now.mockClear();
    for (let index = 0; index < 3; index++) void spawn(scope, wait).catch(() => undefined);
    expect(now).not.toHaveBeenCalled();
    await new Promise((resolve) => setTimeout(resolve, 50));
    now.mockReturnValue(loadedAt + 510);
    void spawn(scope, wait).catch(() => undefined);
    expect(agesOf(scope)).toEqual([500, 500, 500, 0]);
    scope.cancel();
    await handle.close();
  });

  it("is the test's fake clock, continues from its last value, and is not cached", () => {
    expect(clock.coarseElapsed()).toBe(10);
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    vi.advanceTimersByTime(500);
    expect(clock.coarseElapsed()).toBe(510);
    vi.advanceTimersByTime(100);
    expect(clock.coarseElapsed()).toBe(610);
    vi.useRealTimers();
    now.mockReturnValue(loadedAt + 15);
    expect(clock.coarseElapsed()).toBe(610);
    expect(clock.ageOf(600)).toBe(10);
  });

  it("never returns a negative age", () => {
    now.mockReturnValue(loadedAt + 5);
    expect(clock.ageOf(10)).toBe(0);
    expect(clock.ageOf(2)).toBe(3);
  });
});
