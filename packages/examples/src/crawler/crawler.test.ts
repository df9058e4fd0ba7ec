import { createScope, sleep, withScope, type Scope, type ScopeHandle } from "bough";
import { withVirtualClock } from "bough/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { runExample } from "../../test/support/run-example.js";
import { crawl, StatusError, type CrawlOptions } from "./crawl.js";
import { RateLimit } from "./rate-limit.js";
import { openSite } from "./site.js";

const options: CrawlOptions = { concurrency: 4, perSecond: 10_000, depth: 4 };

describe("crawl()", () => {
  let scope: ScopeHandle;
  beforeEach(() => {
    scope = createScope({ name: "test" });
  });
  afterEach(() => scope.close());

  it("visits every page once, level by level, and no more at once than its limit", async () => {
    const site = await openSite(scope, { pages: 31, latency: 2 });
    const pages = await crawl(scope, site.url, options);
    expect(pages.map((page) => page.title)).toEqual(
      Array.from({ length: 31 }, (_, number) => `Page ${number}`),
    );
    expect([0, 1, 2, 3, 4].map((depth) => pages.filter((page) => page.depth === depth).length)).toEqual([
      1, 2, 4, 8, 16,
    ]);
    expect(site.stats.busiest).toBe(4);
    expect(site.stats.requests).toBe(31 + 3); // pages 9, 19 and 29 fail once
  });

  it("reports missing pages, and asks for each once", async () => {
    const site = await openSite(scope, { pages: 2, latency: 0 });
    const pages = await crawl(scope, site.url, { ...options, depth: 1 });
    expect(pages.map((page) => page.error instanceof StatusError && page.error.status)).toEqual([
      false,
      false,
      404,
    ]);
    expect(site.stats.requests).toBe(3);
  });

  it("aborts its requests when it is cancelled, and makes no further ones", async () => {
    const site = await openSite(scope, { pages: 1_000, latency: 60_000 });
    const own = createScope(scope, { name: "crawl" });
    const crawled = crawl(own, site.url, options).catch((error: unknown) => error);
    while (site.stats.requests === 0) await sleep(scope, 1);
    own.cancel("enough");
    expect(await crawled).toBe(own.reason);
    while (site.stats.abandoned === 0) await sleep(scope, 1);
    expect(site.stats.requests).toBe(1);
    await own.close();
  });

  it("starts no more requests in a second than its limit", async () => {
    const times: number[] = [];
    const fetchPage = async (url: string): Promise<Response> => {
      times.push(Date.now());
      const number = Number(new URL(url).pathname.slice(1));
      const links = [2 * number + 1, 2 * number + 2].map((to) => `<a href="/${to}">`);
      return new Response(`<title>${number}</title>${links.join("")}`);
    };
    await withVirtualClock(
      async (own) => {
        await crawl(own, "http://site/0", { concurrency: 8, perSecond: 10, depth: 3, fetch: fetchPage });
      },
      { start: 0 },
    );
    expect(times).toEqual(Array.from({ length: 15 }, (_, n) => n * 100));
  });
});

describe("RateLimit", () => {
  it("lets a request go on that has waited long enough", async () => {
    const times = await withVirtualClock(
      async (scope: Scope) => {
        const rate = new RateLimit(2);
        const turns: number[] = [];
        for (const pause of [0, 0, 2_000, 0]) {
          await sleep(scope, pause);
          await rate.turn(scope);
          turns.push(Date.now());
        }
        return turns;
      },
      { start: 0 },
    );
    expect(times).toEqual([0, 500, 2_500, 3_000]);
  });

  it("rejects with the reason when its scope is cancelled", async () => {
    const rate = new RateLimit(0.001);
    await withScope(async (scope) => {
      await rate.turn(scope);
      const own = createScope(scope);
      const waiting = rate.turn(own).catch((error: unknown) => error);
      own.cancel();
      expect(await waiting).toBe(own.reason);
      await own.close();
    });
  });
});

describe("main.ts", () => {
  it("crawls the whole site, then stops on time", { timeout: 30_000 }, async () => {
    const { code, output } = await runExample("crawler");
    expect(output).toContain("depth 6: 64 pages, 27 of them missing");
    expect(output).toMatch(/137 requests in \d+\.\d s, at most [1-4] at once/);
    expect(output).toMatch(/stopped \(deadline\) after \d+ more requests/);
    expect(code).toBe(0);
  });
});
