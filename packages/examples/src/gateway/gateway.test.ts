import { once } from "node:events";
import http, { type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { serverScope } from "bough/http";
import { afterEach, describe, expect, it } from "vitest";
import { createGateway, type Line } from "./gateway.js";

const servers: Server[] = [];

async function listen(server: Server): Promise<string> {
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

interface Called {
  readonly headers: http.IncomingHttpHeaders;
  /** Settles when the gateway hangs up. */
  readonly gone: Promise<void>;
}

/** An upstream that answers after so many milliseconds, or never. */
async function upstream(
  name: string,
  delay: number,
): Promise<{ name: string; url: string; calls: Called[] }> {
  const calls: Called[] = [];
  const server = http.createServer((request, response) => {
    const gone = new Promise<void>((resolve) => response.on("close", () => resolve()));
    calls.push({ headers: request.headers, gone });
    if (delay !== Infinity) setTimeout(() => response.end(JSON.stringify({ from: name })), delay);
  });
  return { name, url: await listen(server), calls };
}

async function start(upstreams: Awaited<ReturnType<typeof upstream>>[], upstreamTimeout = 5_000) {
  const audited: string[] = [];
  const gateway = createGateway({
    upstreams,
    timeout: 10_000,
    upstreamTimeout,
    audit: async (path) => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      audited.push(path);
    },
  });
  return { gateway, url: `${await listen(gateway)}/merged`, audited };
}

const parse = (text: string): Line[] =>
  text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

describe("the gateway", () => {
  it("streams the answers in the order in which they come", async () => {
    const { url } = await start([await upstream("slow", 60), await upstream("fast", 1)]);
    const lines = parse(await (await fetch(url)).text());
    expect(lines).toEqual([
      { name: "fast", body: { from: "fast" } },
      { name: "slow", body: { from: "slow" } },
    ]);
  });

  it("hangs up on an upstream that is late, and says so in its line", async () => {
    const late = await upstream("late", Infinity);
    const { url } = await start([late, await upstream("fast", 1)], 50);
    const lines = parse(await (await fetch(url)).text());
    expect(lines).toMatchObject([
      { name: "fast" },
      { name: "late", error: expect.stringContaining("timed out") },
    ]);
    await late.calls[0]?.gone;
  });

  it("passes the time that is left on, and answers 504 when it is over", async () => {
    const never = await upstream("never", Infinity);
    const { url } = await start([never]);
    const response = await fetch(url, { headers: { "x-request-timeout-ms": "80" } });
    expect(response.status).toBe(504);
    expect(Number(never.calls[0]?.headers["x-request-timeout-ms"])).toBeLessThanOrEqual(80);
    await never.calls[0]?.gone;
  });

  it("hangs up on the upstreams when its client hangs up", async () => {
    const never = await upstream("never", Infinity);
    const { url } = await start([never, await upstream("fast", 1)]);
    const client = new AbortController();
    const response = await fetch(url, { signal: client.signal });
    const reader = response.body?.getReader();
    await reader?.read(); // the fast one's line
    client.abort();
    await never.calls[0]?.gone;
  });

  it("finishes its background jobs when it shuts down", async () => {
    const { gateway, url, audited } = await start([await upstream("fast", 1)]);
    await (await fetch(url)).text();
    expect(audited).toEqual([]);
    expect(await serverScope(gateway).shutdown()).toMatchObject({ cancelled: 0, stuck: [] });
    expect(audited).toEqual(["/merged"]);
  });
});
