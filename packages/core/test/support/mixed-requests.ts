import { appendFileSync } from "node:fs";
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo, Server } from "node:net";
import { expect, onTestFinished, vi } from "vitest";
import { serverScope } from "../../src/http/index.js";
import { serverStateOf } from "../../src/http/server-scope.js";
import { sleep, spawn, type Scope } from "../../src/index.js";

// Sends many requests over connections that are kept alive, with parsed bodies and with clients that disconnect. Checks that no
// answered request was cancelled, that none continued after its client had left, and that nothing was left behind or logged as
// an error.

/** How many requests each server gets: `npm run test:mixed` sets it to ten thousand. */
const TOTAL = Number(process.env["BOUGH_MIXED"] ?? 2_000);
const CLIENTS = 40;

interface Fate {
  readonly scope: Scope;
  kind?: string;
}

/** The ends of the requests, by id. */
export type Fates = Map<string, Fate>;

/** The work of the handler for the request `id`. */
export async function work(scope: Scope, id: string, fates: Fates, hangs: boolean): Promise<void> {
  const fate: Fate = { scope };
  fates.set(id, fate);
  scope.onCancel((reason) => (fate.kind = reason.kind));
  void scope.signal;
  await Promise.all([
    spawn(scope, (inner) => sleep(inner, hangs ? 60_000 : 1)),
    spawn(scope, () => Promise.resolve()),
  ]);
}

/**
 * Sends the requests to a server whose handlers call {@link work} for `/:id/:what`, and checks how they ended.
 *
 * @param logged - What the server has logged as an error.
 */
export async function expectExactCancellations(
  host: string,
  server: Server,
  fates: Fates,
  logged: readonly unknown[] = [],
): Promise<void> {
  const began = performance.now();
  if (!server.listening) {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
  }
  const scope = serverScope(server);
  const { port } = server.address() as AddressInfo;
  const agent = new http.Agent({ keepAlive: true, maxSockets: CLIENTS });
  const warnings: Error[] = [];
  const note = (warning: Error): void => void warnings.push(warning);
  const printed: unknown[] = [];
  const print = vi.spyOn(console, "error").mockImplementation((...what) => void printed.push(what));
  process.on("warning", note);
  onTestFinished(() => {
    agent.destroy();
    server.close();
    process.off("warning", note);
    print.mockRestore();
  });

  const hangs = (id: number): boolean => id % 10 === 0;
  let id = 0;
  let answered = 0;
  const client = async (): Promise<void> => {
    while (id < TOTAL) {
      const own = id++;
      if (hangs(own)) await hangUp(port, agent, own, fates);
      else if ((await send(port, agent, own)).includes(`"id":"${own}"`)) answered += 1;
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));

  await expect.poll(() => serverStateOf(server).records.length).toBe(0);
  const cancelled = [...fates].filter(([, { kind }]) => kind === "disconnected");
  const wrong = [...fates].filter(
    ([key, { kind }]) => kind !== (hangs(Number(key)) ? "disconnected" : undefined),
  );
  expect(wrong).toEqual([]);
  expect(fates.size).toBe(TOTAL);
  expect(answered).toBe(TOTAL * 0.9);
  expect([...fates.values()].every((fate) => fate.scope.state === "closed")).toBe(true);
  expect(warnings).toEqual([]); // of too many listeners, say
  expect([...printed, ...logged]).toEqual([]);
  expect(await scope.shutdown()).toMatchObject({ running: 0, cancelled: 0, stuck: [] });
  const report = process.env["BOUGH_MIXED_REPORT"];
  const row = {
    host,
    requests: TOTAL,
    answered,
    "left by clients": cancelled.length,
    wrong: 0,
    left: 0,
    errors: 0,
  };
  if (report !== undefined)
    appendFileSync(report, `${JSON.stringify({ ...row, ms: Math.round(performance.now() - began) })}\n`);
}

function send(port: number, agent: http.Agent, id: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const method = id % 3 === 0 ? "GET" : "POST";
    const headers = method === "POST" ? { "content-type": "application/json" } : {};
    const options = { host: "127.0.0.1", port, agent, method, path: `/${id}/work`, headers };
    const request = http.request(options, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (text += chunk));
      response.on("end", () => resolve(text));
    });
    request.on("error", reject);
    request.end(method === "POST" ? JSON.stringify({ text: "x".repeat((id % 7) * 1_000) }) : undefined);
  });
}

/** Sends a request that would never be answered, and goes away once its handler works. */
async function hangUp(port: number, agent: http.Agent, id: number, fates: Fates): Promise<void> {
  const headers = { "content-type": "application/json" };
  const options = { host: "127.0.0.1", port, agent, method: "POST", path: `/${id}/hang`, headers };
  const request = http.request(options);
  request.on("error", () => undefined);
  request.end("{}");
  while (!fates.has(String(id))) await new Promise((resolve) => setImmediate(resolve));
  request.destroy();
}
