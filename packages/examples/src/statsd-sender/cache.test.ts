import { close } from "bough";
import { collectGarbage } from "bough/testing";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Cache, createCache, liveJanitors } from "./cache.js";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] }));
afterEach(() => void vi.useRealTimers());

describe("createCache()", () => {
  it("deletes expired entries at each interval, and counts them", async () => {
    const cache = createCache<number>(100, 1_000);
    const evicted: [string, number][] = [];
    cache.onEvicted = (key, value) => void evicted.push([key, value]);
    cache.set("short", 1).set("long", 2, 5_000);
    expect(cache).toBeInstanceOf(Cache);
    await vi.advanceTimersByTimeAsync(100);
    expect(cache.get("short")).toBeUndefined();
    expect(cache.size).toBe(2);
    await vi.advanceTimersByTimeAsync(900);
    expect(cache.size).toBe(1);
    expect(evicted).toEqual([["short", 1]]);
    expect(cache.get("long")).toBe(2);
    await close(cache);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("stops the janitor when the cache is dropped", async () => {
    (() => createCache<number>(100, 1_000).set("a", 1))();
    expect([liveJanitors(), vi.getTimerCount()]).toEqual([1, 1]);
    await collectGarbage();
    await vi.waitFor(() => expect([liveJanitors(), vi.getTimerCount()]).toEqual([0, 0]), 10_000);
  });

  it("keeps the janitor as long as the cache is held", async () => {
    const cache = createCache<number>(100, 1_000).set("a", 1);
    await collectGarbage();
    expect(liveJanitors()).toBe(1);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(cache.size).toBe(0);
    await close(cache);
    expect(liveJanitors()).toBe(0);
  });

  it("has no janitor when the interval is Infinity", async () => {
    const cache = createCache<number>(100, Infinity).set("a", 1);
    expect([liveJanitors(), vi.getTimerCount()]).toEqual([0, 0]);
    cache.deleteExpired();
    expect(cache.get("a")).toBe(1);
    await close(cache);
  });
});
