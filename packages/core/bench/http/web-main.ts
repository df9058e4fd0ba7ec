// Measures the share of its speed that Hono keeps with `bough/web`, on each fetch-style host. Mounted and unused, it is compared
// with the app without it; with three tasks, with the same job by hand. `bench:http` describes the variants.
//
//     npm run bench:web -- [--host bun] [--host deno] [--host node-server] [--variant used] [--generations 4] [--rounds 150]
//         [--requests 500] [--warm-up 30000] [--connections 50]
//
// Each cell is the median of all rounds, and their quartiles; then whether the median has met its target. The rows `control`
// are the plain app and the same job by hand once more: as far as they are from 1, so uncertain are the others. On Linux with
// two cores, the clients have a core of their own and so have the servers (see rounds.ts). Elsewhere read the column **by
// processor time**: then requests per second are also those of the clients.

import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { runtimeBinary } from "../../test/support/runtimes.js";
import {
  bundle,
  generate,
  median,
  planOf,
  quantile,
  ratios,
  start,
  type Costs,
  type Runtime,
} from "./rounds.js";

const { values } = parseArgs({
  options: {
    host: { type: "string", multiple: true },
    variant: { type: "string", multiple: true },
    generations: { type: "string", default: "4" },
    rounds: { type: "string", default: "150" },
    requests: { type: "string", default: "500" },
    "warm-up": { type: "string", default: "30000" },
    connections: { type: "string", default: "50" },
  },
});
const plan = planOf(values);

const plain = "plain";
const byHand = "same job by hand";
const byHandAgain = "same job by hand, control";
/** Of each variant: what it is compared with, and how much of that it is to keep. */
const comparisons: Readonly<Record<string, { readonly base: string; readonly target?: number }>> = {
  control: { base: plain },
  [byHand]: { base: plain },
  [byHandAgain]: { base: byHand },
  unused: { base: plain, target: 0.97 },
  used: { base: byHand, target: 0.95 },
  "used, in turn": { base: byHand, target: 0.95 },
  "all()": { base: byHand, target: 0.95 },
};
const wanted = values.variant ?? Object.keys(comparisons);
const controls = new Map([
  [plain, "control"],
  [byHand, byHandAgain],
]);
/** The variants that are wanted, and the controls of what they are compared with. */
const compared = Object.entries(comparisons).filter(
  ([variant, { base }]) =>
    wanted.includes(variant) ||
    (controls.get(base) === variant && wanted.some((one) => comparisons[one]?.base === base)),
);
const variants = [...new Set(compared.flatMap(([variant, { base }]) => [base, variant]))];

const runtimes: Readonly<Record<string, () => Runtime>> = {
  bun: () => ({ execPath: installed("bun"), execArgv: [] }),
  deno: () => ({ execPath: installed("deno"), execArgv: ["run", "-A", "--v8-flags=--expose-gc"] }),
  "node-server": () => ({ execPath: process.execPath, execArgv: ["--expose-gc"] }),
};

function installed(name: "bun" | "deno"): string {
  const binary = runtimeBinary(name);
  if (binary === undefined)
    throw new Error(`${name} is not installed: run the tests with BOUGH_ALL_NODES=1 first`);
  return binary;
}

type Row = Record<string, string | number>;

async function compare(host: string): Promise<Row[]> {
  const runtime = runtimes[host]?.();
  if (runtime === undefined)
    throw new Error(`no host ${host}: there are ${Object.keys(runtimes).join(", ")}`);
  const results: Map<string, Costs>[] = [];
  for (let generation = 1; generation <= plan.generations; generation++) {
    const startVariant = (variant: string) => start(runtime, script, host, variant, plan.connections);
    results.push(await generate(variants, startVariant, plan));
    console.error(`${host}: ${generation} of ${plan.generations}`);
  }
  const costsOf = (variant: string, cost: keyof Costs, costs: Map<string, Costs>): readonly number[] =>
    costs.get(variant)?.[cost] ?? [];
  const perRequest = (variant: string, cost: keyof Costs): number =>
    median(results.flatMap((costs) => costsOf(variant, cost, costs))) / plan.requests;
  const share = (variant: string, cost: keyof Costs, base: string, target = 0): string => {
    const each = results.flatMap((costs) =>
      ratios(costsOf(base, cost, costs), costsOf(variant, cost, costs)),
    );
    const verdict = median(each) < target ? `missed ${target}` : `met ${target}`;
    return target === 0 ? quartiles(each) : `${quartiles(each)}, ${verdict}`;
  };
  return compared.map(([variant, { base, target }]) => ({
    host,
    variant,
    "requests/s": Math.round(1e6 / perRequest(variant, "elapsed")),
    "µs/request": perRequest(variant, "cpu").toFixed(1),
    "compared with": base,
    "by processor time": share(variant, "cpu", base, target),
    "by requests/s": share(variant, "elapsed", base, target),
  }));
}

function quartiles(numbers: readonly number[]): string {
  const [low, middle, high] = [0.25, 0.5, 0.75].map((share) => quantile(numbers, share).toFixed(2));
  return `${middle} (${low}–${high})`;
}

const script = await bundle("web-server");
const rows: Row[] = [];
for (const host of values.host ?? Object.keys(runtimes)) rows.push(...(await compare(host)));
console.table(Object.fromEntries(rows.map(({ host, variant, ...row }) => [`${host}, ${variant}`, row])));
const results = fileURLToPath(new URL("../results/", import.meta.url));
mkdirSync(results, { recursive: true });
writeFileSync(`${results}web.json`, `${JSON.stringify({ ...values, rows }, null, 2)}\n`);
