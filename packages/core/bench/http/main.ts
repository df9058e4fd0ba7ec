// Compares an app with the integration with the plain app: by requests per second, and by the processor time of a request,
// which other load on the machine disturbs less. With `--seconds`, also the heap before and after a load.
//
//     npm run bench:http -- [--framework fastify] [--variant used] [--node /path/to/node] [--generations 4]
//         [--rounds 300] [--requests 250] [--warm-up 30000] [--seconds 60]
//
// Rounds of 1,000 requests scatter six times as much as those of 250; see rounds.ts. `npm run bench:web` has the fetch-style
// hosts.
// `control` is the plain app once more: what differs there is noise. `idle` is the plain app with a middleware or a hook
// that does nothing: what mounting anything costs. `used` is a handler with a scope, its signal and three tasks, awaited
// with `Promise.all`; `used, in turn` awaits them one after the other; `all()` is as `used`, with `all` for the three tasks in the
// place of `spawn` and `Promise.all`.
// `same job by hand` does what `used` does without bough: an AbortController per request, a listener for the client's
// leaving, an abort on the first failure, and `Promise.allSettled` of the three tasks before the answer. The last column
// compares those three with it. `by hand, no join` has the controller and the listener alone.
//
// `--seconds` measures the heap instead of the speed, before and after a load of so many seconds.

import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import {
  ask,
  bundle,
  generate,
  median,
  planOf,
  ratios,
  start,
  stop,
  warm,
  type Costs,
  type Running,
  type Usage,
} from "./rounds.js";

const { values } = parseArgs({
  options: {
    framework: { type: "string", multiple: true },
    variant: { type: "string", multiple: true },
    generations: { type: "string", default: "4" },
    rounds: { type: "string", default: "300" },
    requests: { type: "string", default: "250" },
    "warm-up": { type: "string", default: "30000" },
    connections: { type: "string", default: "50" },
    seconds: { type: "string" },
    node: { type: "string", default: process.execPath },
  },
});
const plan = planOf(values);
const frameworks = values.framework ?? ["http", "fastify", "express", "express4"];
const byHand = "same job by hand";
const all = [
  "plain",
  "control",
  "idle",
  "by hand, no join",
  byHand,
  "unused",
  "used",
  "used, in turn",
  "all()",
];
const variants = all.filter((name) => name === "plain" || (values.variant ?? all).includes(name));
const targets: Readonly<Record<string, number>> = {
  unused: 0.97,
  used: 0.9,
  "used, in turn": 0.9,
  "all()": 0.9,
};
/** The targets: the share of the requests per second of the same job by hand. */
const handTargets: Readonly<Record<string, number>> = { used: 0.97, "used, in turn": 0.97, "all()": 1 };

type Row = Record<string, string | number>;

const script = await bundle("server");

function startServer(framework: string, variant: string): Promise<Running> {
  const runtime = { execPath: values.node, execArgv: ["--expose-gc"] };
  return start(runtime, script, framework, variant, plan.connections);
}

async function compare(framework: string): Promise<Row[]> {
  const results: Map<string, Costs>[] = [];
  for (let generation = 1; generation <= plan.generations; generation++) {
    results.push(await generate(variants, (variant) => startServer(framework, variant), plan));
    console.error(`${framework}: ${generation} of ${plan.generations}`);
  }
  return variants.map((variant) => {
    const perRequest = (cost: keyof Costs): number =>
      median(results.map((costs) => median(costs.get(variant)?.[cost] ?? []) / plan.requests));
    const share = (cost: keyof Costs, base = "plain"): string =>
      spread(
        results.map((costs) =>
          median(ratios(costs.get(base)?.[cost] ?? [], costs.get(variant)?.[cost] ?? [])),
        ),
      );
    const isCompared = variant in handTargets && variants.includes(byHand);
    return {
      framework,
      variant,
      "requests/s": Math.round(1e6 / perRequest("elapsed")),
      share: share("elapsed"),
      "µs/request": perRequest("cpu").toFixed(1),
      "share by cpu": share("cpu"),
      target: targets[variant] ?? "",
      "of the same job by hand": isCompared ? share("elapsed", byHand) : "",
      "by cpu": isCompared ? share("cpu", byHand) : "",
      "target by hand": handTargets[variant] ?? "",
    };
  });
}

/** The median over the generations, the least and the greatest. */
function spread(shares: readonly number[]): string {
  return `${median(shares).toFixed(3)} (${Math.min(...shares).toFixed(2)}–${Math.max(...shares).toFixed(2)})`;
}

/** The heap after a collection, before and after a load of so many seconds. */
async function weigh(framework: string, seconds: number): Promise<Row[]> {
  const rows: Row[] = [];
  for (const variant of variants) {
    const running = await startServer(framework, variant);
    await warm([running], plan);
    const before = await ask(running.child, "collect");
    const end = performance.now() + seconds * 1000;
    let sent = 0;
    await running.clients.run(() => ++sent > 0 && performance.now() < end);
    const after = await ask(running.child, "collect");
    stop(running);
    const row = { framework, variant, requests: sent, before: megabytes(before), after: megabytes(after) };
    console.error(JSON.stringify(row));
    rows.push(row);
  }
  return rows;
}

function megabytes({ heap }: Usage): string {
  return `${(heap / 1e6).toFixed(2)} MB`;
}

const rows: Row[] = [];
for (const framework of frameworks) {
  const table =
    values.seconds === undefined ? await compare(framework) : await weigh(framework, Number(values.seconds));
  console.table(Object.fromEntries(table.map(({ variant, ...row }) => [String(variant), row])));
  rows.push(...table);
}
const results = fileURLToPath(new URL("../results/", import.meta.url));
mkdirSync(results, { recursive: true });
const { node, ...how } = values;
const name = values.seconds === undefined ? "http" : "http-heap";
writeFileSync(`${results}${name}.json`, `${JSON.stringify({ node, ...how, rows }, null, 2)}\n`);
