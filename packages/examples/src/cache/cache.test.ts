import { readFileSync } from "node:fs";
import { close, createScope, type Scope, type SelfCleaning } from "bough";
import { collectGarbage, verifyNoLeaks } from "bough/testing";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { runExample } from "../../test/support/run-example.js";
import { App } from "./app.js";
import { Cache, createCache } from "./cache.js";
import { createLruCache, LruCache } from "./lru-cache.js";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] }));
afterEach(async () => {
  vi.useRealTimers();
  await verifyNoLeaks({ resources: false });
});

describe("App", () => {
  it("works at each interval until it is stopped, and says when it has", async () => {
    const log: string[] = [];
    const app = new App(() => log.push("work"), 1_000);
    app.onStopped = () => log.push("stopped");
    await vi.advanceTimersByTimeAsync(2_000);
    await app.stop();
    log.push("stop() returned");
    await vi.advanceTimersByTimeAsync(2_000);
    expect(log).toEqual(["work", "work", "stopped", "stop() returned"]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("may be stopped twice, and calls onStopped once", async () => {
    const onStopped = vi.fn<() => void>();
    const app = new App(() => {}, 1_000);
    app.onStopped = onStopped;
    await Promise.all([app.stop(), app.stop()]);
    await app.stop();
    expect(onStopped).toHaveBeenCalledTimes(1);
  });

  it("stops without an onStopped", async () => {
    await new App(() => {}, 1_000).stop();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("leaks when it is forgotten, as in the original", async () => {
    const onStopped = vi.fn<() => void>();
    const apps = ((): WeakRef<App>[] => {
      const app = new App(() => {}, 1_000);
      app.onStopped = onStopped;
      return [new WeakRef(app)];
    })();
    await collectGarbage();
    expect(onStopped).not.toHaveBeenCalled();
    await apps[0]?.deref()?.stop();
    expect(onStopped).toHaveBeenCalledTimes(1);
  });
});

describe("createCache()", () => {
  it("TestFinalizer", async () => {
    let w: Cache<string> | undefined = createCache<string>(60_000, 1_000);
    let count = 0;
    const stopped = new Promise<void>((resolve) => {
      countIn(w, () => {
        count += 1;
        resolve();
      });
    });
    expect(count).toBe(0);
    w = undefined;
    await collectGarbage();
    await stopped;
    expect(count).toBe(1);
  });

  it("does not stop as long as it is held", async () => {
    const cache = createCache<string>(60_000, 1_000);
    const onStopped = vi.fn<() => void>();
    cache.onStopped = onStopped;
    await collectGarbage();
    expect(onStopped).not.toHaveBeenCalled();
    await close(cache);
    expect(onStopped).toHaveBeenCalledTimes(1);
  });

  it("looks like the cache it stands for, and forgets expired entries", async () => {
    const cache = createCache<string>(1_500, 1_000);
    expect(cache).toBeInstanceOf(Cache);
    expect(cache.set("key1", "a").set("key2", "b")).toBe(cache);
    await vi.advanceTimersByTimeAsync(1_000);
    cache.set("key2", "c");
    await vi.advanceTimersByTimeAsync(1_000);
    expect([cache.get("key1"), cache.get("key2"), cache.size]).toEqual([undefined, "c", 1]);
    await close(cache);
  });
});

/** In a function of its own: see main.ts. */
function countIn(cache: Cache<string> | undefined, onStopped: () => void): void {
  if (cache !== undefined) cache.onStopped = onStopped;
}

describe("createLruCache()", () => {
  /** A cache, and what its evicter does. */
  function open(): { cache: SelfCleaning<LruCache<string>>; log: string[]; written: () => void } {
    const log: string[] = [];
    let written = (): void => {};
    const onEvict = async (key: string, value: string, scope: Scope): Promise<void> => {
      log.push(`evicts ${key} (${value})`);
      await new Promise<void>((resolve) => (written = resolve));
      scope.throwIfCancelled();
      log.push(`evicted ${key}`);
    };
    const cache = createLruCache({ capacity: 2, lifetime: 100, interval: 1_000, onEvict });
    return { cache, log, written: () => written() };
  }

  it("keeps the entries that were used last", async () => {
    const { cache } = open();
    cache.set("a", "1");
    cache.set("b", "2");
    expect(cache.get("a")).toBe("1");
    cache.set("c", "3");
    expect(cache.keys).toEqual(["a", "c"]);
    expect(cache.get("b")).toBeUndefined();
    await close(cache);
  });

  it("evicts expired entries, one after the other", async () => {
    const { cache, log, written } = open();
    cache.set("a", "1");
    cache.set("b", "2");
    await vi.advanceTimersByTimeAsync(1_000);
    expect(log).toEqual(["evicts a (1)"]);
    written();
    await vi.advanceTimersByTimeAsync(0);
    expect(log).toEqual(["evicts a (1)", "evicted a", "evicts b (2)"]);
    written();
    await vi.advanceTimersByTimeAsync(0);
    expect(cache.keys).toEqual([]);
    await close(cache);
  });

  it("waits in close() until the evicter has terminated", async () => {
    const { cache, log, written } = open();
    cache.set("a", "1");
    cache.set("b", "2");
    await vi.advanceTimersByTimeAsync(1_000);
    const closed = close(cache).then(() => log.push("closed"));
    await vi.advanceTimersByTimeAsync(100);
    expect(log).toEqual(["evicts a (1)"]);
    written();
    await closed;
    expect(log).toEqual(["evicts a (1)", "evicted a", "closed"]);
    expect(cache.keys).toEqual(["b"]);
  });

  it("terminates its evicter when it is dropped, in the middle of an eviction as well", async () => {
    const { log, written } = await (async () => {
      const { cache, ...rest } = open();
      cache.set("a", "1");
      await vi.advanceTimersByTimeAsync(1_000);
      return rest;
    })();
    await collectGarbage();
    expect(log).toEqual(["evicts a (1)"]);
    written();
    await vi.advanceTimersByTimeAsync(0);
    expect(log).toEqual(["evicts a (1)", "evicted a"]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("evicts nothing in a scope that is cancelled already", async () => {
    const onEvict = vi.fn<() => Promise<void>>(async () => {});
    const cache = new LruCache({ capacity: 1, lifetime: 0, interval: 1, onEvict });
    cache.set("a", "1");
    const scope = createScope();
    scope.cancel();
    await expect(cache.evictExpired(scope)).rejects.toBe(scope.reason);
    expect(onEvict).not.toHaveBeenCalled();
    expect(cache.keys).toEqual(["a"]);
  });
});

describe("main.ts", () => {
  it("prints the lines of the README", { timeout: 60_000 }, async () => {
    vi.useRealTimers();
    const readme = readFileSync(new URL("README.md", import.meta.url), "utf8");
    const [, expected] = /```text\n(.*?)```/s.exec(readme) ?? [];
    const { code, output } = await runExample("cache");
    expect(output).toBe(expected);
    expect(code).toBe(0);
  });
});
