import { map, retry, type Scope } from "bough";
import { RateLimit } from "./rate-limit.js";

/** A page as the crawler found it. */
export interface Page {
  readonly url: string;
  /** How many links it is away from the first. */
  readonly depth: number;
  readonly title: string;
  readonly links: readonly string[];
  /** Why there is nothing of it. */
  readonly error?: unknown;
}

export interface CrawlOptions {
  /** How many pages are fetched at once. */
  readonly concurrency: number;
  /** How many requests begin in a second. */
  readonly perSecond: number;
  /** How far from the first page it goes. */
  readonly depth: number;
  readonly onPage?: (page: Page) => void;
  /** Default: the global one. */
  readonly fetch?: (url: string, init: { signal: AbortSignal }) => Promise<Response>;
}

/** An answer that is no page. */
export class StatusError extends Error {
  readonly status: number;

  constructor(url: string, status: number) {
    super(`${url} answered ${status}`);
    this.status = status;
  }
}

/**
 * Follows links, level by level, each page once. A page that can't be had is part of the result. When `scope` is
 * cancelled, the requests that are under way are aborted, and no other begins.
 */
export async function crawl(scope: Scope, start: string, options: CrawlOptions): Promise<Page[]> {
  const rate = new RateLimit(options.perSecond);
  const seen = new Set([start]);
  const pages: Page[] = [];
  let level = [start];
  for (let depth = 0; level.length > 0 && depth <= options.depth; depth++) {
    const found = await map(scope, level, (url, own) => visit(own, url, depth, rate, options), {
      concurrency: options.concurrency,
    });
    pages.push(...found);
    level = [];
    for (const link of found.flatMap((page) => page.links)) {
      if (seen.has(link)) continue;
      seen.add(link);
      level.push(link);
    }
  }
  return pages;
}

async function visit(
  scope: Scope,
  url: string,
  depth: number,
  rate: RateLimit,
  { onPage, fetch = globalThis.fetch }: CrawlOptions,
): Promise<Page> {
  let page: Page;
  try {
    const html = await retry(
      scope,
      async (own) => {
        await rate.turn(own);
        const response = await fetch(url, { signal: own.signal });
        if (!response.ok) throw new StatusError(url, response.status);
        return response.text();
      },
      { attempts: 3, attemptTimeout: 5_000, retryIf: (error) => !isFinal(error) },
    );
    const [, title = ""] = /<title>(.*?)<\/title>/.exec(html) ?? [];
    const links = [...html.matchAll(/href="(.*?)"/g)].map(([, path]) => new URL(path ?? "", url).href);
    page = { url, depth, title, links };
  } catch (error) {
    scope.throwIfCancelled(); // no page's fault
    page = { url, depth, title: "", links: [], error };
  }
  onPage?.(page);
  return page;
}

/** Whether another attempt would get the same answer. */
function isFinal(error: unknown): boolean {
  return error instanceof StatusError && error.status < 500;
}
