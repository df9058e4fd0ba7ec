// What a server under load keeps while two pages of the inspector are open, beside the same server without a page.
//
//     npm run bench:inspector -- [--scopes 1000] [--scopes 100000] [--rounds 20] [--ms 1000] [--generations 2]
//         [--node /path/to/node]
//
// | row      | the server                                                       |
// | -------- | ---------------------------------------------------------------- |
// | without  | has no inspector                                                 |
// | control  | the same once more: what differs here is noise                   |
// | no page  | has an inspector, and nobody has opened its page                 |
// | 2 pages  | has an inspector, and two pages are open, which load their trees |
//
// Each server has so many scopes that sleep, and answers requests of three child tasks each. Every one takes its turn in
// every round; a turn is as long as the interval of the page, so that the page is at work in each. The ratios are those
// of a round. `loop delay` is how late timers of 1 ms were, the medians over the rounds; `pause` is the longest collection.

import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { get, type ClientRequest, type IncomingMessage } from "node:http";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { pageAssets } from "../../scripts/page-assets.mjs";
import { Load } from "../http/load.js";

const { values } = parseArgs({
  options: {
    scopes: { type: "string", multiple: true },
    rounds: { type: "string", default: "20" },
    ms: { type: "string", default: "1000" },
    generations: { type: "string", default: "2" },
    connections: { type: "string", default: "50" },
    node: { type: "string", default: process.execPath },
  },
});
const core = fileURLToPath(new URL("../../", import.meta.url));
const bundle = `${core}node_modules/.cache/bough/bench-inspector/server.mjs`;
const rounds = Number(values.rounds);
const variants = ["without", "control", "no page", "2 pages"] as const;
type Variant = (typeof variants)[number];

/** Of one turn. */
interface Measured {
  readonly requests: number;
  /** Microseconds of the processor, for each request. */
  readonly cpu: number;
  /** How late the event loop was, in ms. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  readonly pause: number;
  readonly rss: number;
}

interface Running {
  readonly variant: Variant;
  readonly child: ChildProcess;
  readonly clients: Load;
  readonly pages: readonly ClientRequest[];
  readonly measured: Measured[];
}

async function start(variant: Variant, scopes: string): Promise<Running> {
  const inspected = variant === "no page" || variant === "2 pages" ? "yes" : "no";
  const child = fork(bundle, [scopes, inspected], { execPath: values.node });
  const [{ port, page }] = (await once(child, "message")) as [{ port: number; page?: string }];
  const pages = variant === "2 pages" && page !== undefined ? [openPage(page), openPage(page)] : [];
  return { variant, child, clients: await Load.open(port, Number(values.connections)), pages, measured: [] };
}

/** Does what the page in a browser does: for each event it loads the visible rows of the tree. */
function openPage(address: string): ClientRequest {
  const { port, searchParams } = new URL(address);
  const headers = { authorization: `Bearer ${searchParams.get("token")}` };
  const ask = (path: string, answered: (response: IncomingMessage) => void): ClientRequest =>
    get({ host: "127.0.0.1", port, path, headers }, answered).on("error", () => {});
  return ask("/events", (events) => {
    events
      .on("error", () => {})
      .on("data", (part: Buffer) => {
        if (part.includes("\n\n")) ask("/tree?toggled=&pages=", (response) => response.resume());
      });
  });
}

async function ask(child: ChildProcess): Promise<Omit<Measured, "requests">> {
  const answer = once(child, "message");
  child.send("measure");
  return ((await answer) as [Omit<Measured, "requests">])[0];
}

async function turn({ child, clients }: Running): Promise<Measured> {
  await ask(child);
  const end = performance.now() + Number(values.ms);
  let requests = 0;
  const seconds = await clients.run(() => performance.now() < end && ++requests > 0);
  const { cpu, ...rest } = await ask(child);
  return { requests: requests / seconds, ...rest, cpu: cpu / requests };
}

function stop({ child, clients, pages }: Running): void {
  clients.close();
  for (const page of pages) page.destroy();
  child.disconnect();
}

async function compare(scopes: string): Promise<Record<string, Record<string, string | number>>> {
  const measured = new Map(variants.map((variant): [Variant, Measured[]] => [variant, []]));
  for (let generation = 0; generation < Number(values.generations); generation++) {
    const running: Running[] = [];
    for (const variant of variants) running.push(await start(variant, scopes));
    for (let warmUp = 0; warmUp < 3; warmUp++) for (const each of running) await turn(each);
    for (let count = 0; count < rounds; count++)
      for (const each of count % 2 === 0 ? running : running.toReversed())
        measured.get(each.variant)?.push(await turn(each));
    running.forEach(stop);
    console.error(`${scopes} scopes: ${generation + 1} of ${values.generations}`);
  }
  const base = measured.get("without") ?? [];
  const table: Record<string, Record<string, string | number>> = {};
  for (const [variant, turns] of measured) {
    const of = (name: keyof Measured): number => median(turns.map((each) => each[name]));
    const share = (name: "requests" | "cpu"): string =>
      median(
        turns.map((each, index) => {
          const ratio = each[name] / (base[index]?.[name] ?? Number.NaN);
          return name === "cpu" ? 1 / ratio : ratio;
        }),
      ).toFixed(3);
    table[`${scopes} scopes, ${variant}`] = {
      "requests/s": Math.round(of("requests")),
      share: share("requests"),
      "share by cpu": share("cpu"),
      target: variant === "2 pages" ? 0.9 : "",
      "loop delay p50": `${of("p50").toFixed(1)} ms`,
      p99: `${of("p99").toFixed(1)} ms`,
      max: `${of("max").toFixed(1)} ms`,
      pause: `${of("pause").toFixed(1)} ms`,
      rss: `${(of("rss") / 1e6).toFixed(0)} MB`,
    };
  }
  return table;
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

await build({
  entryPoints: [fileURLToPath(new URL("server.ts", import.meta.url))],
  outfile: bundle,
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  packages: "external",
  plugins: [pageAssets],
});
for (const scopes of values.scopes ?? ["1000", "100000"]) console.table(await compare(scopes));
