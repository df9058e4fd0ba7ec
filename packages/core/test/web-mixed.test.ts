import { once } from "node:events";
import { appendFileSync } from "node:fs";
import http from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ask, bundleHosts, webHosts, type RunningHost } from "./support/web-hosts.js";

// Mixed requests over connections that are kept alive, with uploads, streams and clients that hang up, on Hono on each
// runtime: not one cancelled that was answered, not one that went on when its client had gone, nothing left behind, and
// nothing printed as an error. `npm run test:mixed` sends ten thousand to each that is installed.

const TOTAL = Number(process.env["BOUGH_MIXED"] ?? 1_000);
const CLIENTS = 40;

/** A request that its client waits for, and a part of its answer. */
interface Asked {
  readonly path: string;
  readonly body?: string;
  readonly answer: (id: number) => string;
}

const asked: readonly Asked[] = [
  { path: "used", answer: () => '{"sum":3}' },
  { path: "body", body: "x", answer: (id) => "x".repeat(length(id)) },
  { path: "stream", answer: () => "abc" },
  { path: "text", answer: () => "hello" },
];
/** How far a request comes whose client leaves. */
const left = ["hang", "idle", "upload", "endless"] as const;

const leaves = (id: number): boolean => id % 10 === 0;
const length = (id: number): number => 1 + (id % 7) * 1_000;

let bundles: { readonly folder: string; readonly remove: () => void };
beforeAll(async () => void (bundles = await bundleHosts()));
afterAll(() => bundles.remove());

const hosts = webHosts().filter(({ name }) => name !== "workerd" && name !== "srvx");

for (const { label, start } of hosts)
  describe.skipIf(start === undefined)(`${TOTAL} mixed requests to Hono on ${label}`, () => {
    let host: RunningHost;
    beforeAll(async () => {
      if (start !== undefined) host = await start("hono", bundles.folder);
    });
    afterAll(() => host.stop());

    it(
      "rule 35: cancels the requests of disconnected clients, and no others",
      { timeout: 300_000 },
      async () => {
        const { port } = host;
        const agent = new http.Agent({ keepAlive: true, maxSockets: CLIENTS });
        const arrivals = await Arrivals.of(port);
        let id = 0;
        const client = async (): Promise<void> => {
          while (id < TOTAL) {
            const own = id++;
            if (leaves(own)) await hangUp(port, agent, own, arrivals);
            else await send(port, agent, own);
          }
        };
        await Promise.all(Array.from({ length: CLIENTS }, client));
        agent.destroy();
        arrivals.stop();

        type Row = readonly [id: string, kind: string | null, state: string, status: number | null];
        const open = async (): Promise<readonly Row[]> =>
          ((await ask(port, "/summary")) as Row[]).filter(([, , state]) => state !== "closed");
        await expect.poll(open, { timeout: 10_000 }).toEqual([]);
        const rows = (await ask(port, "/summary")) as Row[];
        expect(rows).toHaveLength(TOTAL);
        const wrong = rows.filter(([key, kind, , status]) =>
          leaves(Number(key)) ? kind !== "disconnected" || status !== 499 : kind !== null || status !== null,
        );
        expect(wrong).toEqual([]);
        expect(await ask(port, "/errors")).toEqual([]);
        const printed = host
          .output()
          .split("\n")
          .filter((line) => line !== "" && !isNotice(line));
        expect(printed).toEqual([]);
        reportRow(label);
      },
    );
  });

/** For the table of `npm run test:mixed`, once everything is known to be right. */
function reportRow(host: string): void {
  const report = process.env["BOUGH_MIXED_REPORT"];
  if (report === undefined) return;
  const gone = Math.ceil(TOTAL / 10);
  const row = { host: `Hono on ${host}`, requests: TOTAL, answered: TOTAL - gone, "left by clients": gone };
  appendFileSync(report, `${JSON.stringify({ ...row, wrong: 0, left: 0, errors: 0 })}\n`);
}

/** The output of the hosts themselves. */
function isNotice(line: string): boolean {
  return /^listening |^Listening on |^Deno\.serve: request\.signal aborts on successful responses/.test(line);
}

/** Which requests have arrived at the server, as it says. */
class Arrivals {
  readonly #arrived = new Set<string>();
  readonly #waiting = new Map<string, () => void>();
  readonly #request: http.ClientRequest;
  #text = "";

  private constructor(request: http.ClientRequest) {
    this.#request = request;
  }

  static async of(port: number): Promise<Arrivals> {
    const request = http.get({ host: "127.0.0.1", port, path: "/started", agent: false });
    request.on("error", () => undefined);
    const arrivals = new Arrivals(request);
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    response.setEncoding("utf8").on("error", () => undefined);
    response.on("data", (text: string) => arrivals.#add(text));
    return arrivals;
  }

  #add(text: string): void {
    const lines = `${this.#text}${text}`.split("\n");
    this.#text = lines.pop() ?? "";
    for (const line of lines) {
      this.#arrived.add(line);
      this.#waiting.get(line)?.();
    }
  }

  async of(id: string): Promise<void> {
    if (this.#arrived.has(id)) return;
    await new Promise<void>((resolve) => this.#waiting.set(id, resolve));
  }

  stop(): void {
    this.#request.destroy();
  }
}

async function send(port: number, agent: http.Agent, id: number): Promise<void> {
  const { path, body, answer } = asked[id % asked.length] as Asked;
  const request = http.request({
    host: "127.0.0.1",
    port,
    agent,
    method: body === undefined ? "GET" : "POST",
    path: `/${id}/${path}`,
  });
  request.end(body?.repeat(length(id)));
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  let text = "";
  for await (const chunk of response) text += String(chunk);
  if (text !== answer(id)) throw new Error(`${id} ${path}: ${response.statusCode} ${text.slice(0, 200)}`);
}

/** Sends a request that would not end for long, and goes away when its handler works, or its response has begun. */
async function hangUp(port: number, agent: http.Agent, id: number, arrivals: Arrivals): Promise<void> {
  const what = left[(id / 10) % left.length] as (typeof left)[number];
  const headers = what === "upload" ? { "content-length": "10" } : {};
  const method = what === "upload" ? "POST" : "GET";
  const request = http.request({ host: "127.0.0.1", port, agent, method, path: `/${id}/${what}`, headers });
  request.on("error", () => undefined);
  const begun = new Promise<void>((resolve) => {
    request.on("response", (response) => response.on("error", () => undefined).on("data", () => resolve()));
  });
  if (what === "upload") request.write("abc");
  else request.end();
  await arrivals.of(String(id));
  if (what === "idle" || what === "endless") await begun;
  request.destroy();
}
