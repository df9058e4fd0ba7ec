// Crawls a site that it serves itself: first all of it, then until it runs out of time.

import { isCancelled, withScope } from "bough";
import { crawl, type CrawlOptions } from "./crawl.js";
import { openSite } from "./site.js";

const options: CrawlOptions = { concurrency: 4, perSecond: 100, depth: 6 };

await withScope({ name: "crawler" }, async (scope) => {
  const site = await openSite(scope, { pages: 100, latency: 20 });

  const started = performance.now();
  const pages = await crawl(scope, site.url, options);
  const seconds = (performance.now() - started) / 1_000;

  for (let depth = 0; depth <= options.depth; depth++) {
    const level = pages.filter((page) => page.depth === depth);
    const missing = level.filter((page) => page.error !== undefined);
    console.log(`depth ${depth}: ${level.length} pages, ${missing.length} of them missing`);
  }
  console.log(
    `${site.stats.requests} requests in ${seconds.toFixed(1)} s, at most ${site.stats.busiest} at once`,
  );

  const before = site.stats.requests;
  const outcome = await withScope(scope, { timeout: 200 }, (own) => crawl(own, site.url, options)).catch(
    (error: unknown) => error,
  );
  const why = isCancelled(outcome) ? outcome.kind : "?";
  console.log(`stopped (${why}) after ${site.stats.requests - before} more requests`);
});
