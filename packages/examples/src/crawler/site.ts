import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { sleep, withScope, type Scope } from "bough";

/** The requests that the site has received. */
interface SiteStats {
  requests: number;
  /** How many requests it was answering at once, at most. */
  busiest: number;
  /** Requests whose client went away before the answer. */
  abandoned: number;
}

export interface Site {
  /** Its first page. */
  readonly url: string;
  readonly stats: Readonly<SiteStats>;
}

export interface SiteOptions {
  readonly pages: number;
  /** Ms that it takes for each page. */
  readonly latency: number;
}

/** Serves a site on loopback until `scope` ends: page n links to 2n + 1 and 2n + 2, and back to the first. */
export async function openSite(scope: Scope, { pages, latency }: SiteOptions): Promise<Site> {
  const stats: SiteStats = { requests: 0, busiest: 0, abandoned: 0 };
  const failedOnce = new Set<number>();
  let busy = 0;
  const server = createServer((request, response) => {
    stats.requests += 1;
    stats.busiest = Math.max(stats.busiest, ++busy);
    response.on("close", () => {
      busy -= 1;
      if (!response.writableEnded) stats.abandoned += 1;
    });
    const number = Number(/^\/page\/(\d+)$/.exec(request.url ?? "")?.[1] ?? NaN);
    void withScope(scope, async (own) => {
      response.on("close", () => own.cancel("hung up"));
      await sleep(own, latency);
      answer(response, number);
    }).catch(() => response.destroy());
  });

  function answer(response: ServerResponse, number: number): void {
    if (!(number < pages)) return void response.writeHead(404).end();
    // Every tenth page fails at the first attempt.
    if (number % 10 === 9 && !failedOnce.has(number)) {
      failedOnce.add(number);
      return void response.writeHead(503).end();
    }
    const links = [0, 2 * number + 1, 2 * number + 2].map((to) => `<a href="/page/${to}">page ${to}</a>`);
    response.end(`<title>Page ${number}</title>${links.join("")}`);
  }

  server.listen(0, "127.0.0.1");
  await once(server, "listening", { signal: scope.signal });
  scope.defer(async () => {
    server.close();
    server.closeAllConnections();
    await once(server, "close");
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/page/0`, stats };
}
