// What an app with the integration keeps of the plain app's requests per second, and of the processor time that a
// request costs its server, which other load on the machine disturbs less; and the heap before and after a load.
//
//     npm run bench:http -- [--framework fastify] [--framework hono-node] [--framework hono-bun] [--framework hono-deno]
//         [--variant used] [--node /path/to/node] [--generations 4]
//         [--rounds 300] [--requests 250] [--warm-up 30000] [--seconds 60]
//
// Every variant takes its turn in every round, in rounds of some ten ms, since the speed of a machine drifts: rounds of
// 1,000 requests scatter six times as much. Two processes that run the same code differ by some percent, as long as they
// live, so each generation starts them all anew.
// `control` is the plain app once more: what differs there is noise. `idle` is the plain app with a middleware or a hook
// that does nothing: what mounting anything costs. `used` is a handler with a scope, its signal and three tasks; `all()` is
// as `used`, with `all` for the three tasks in the place of `spawn` and `Promise.all`.
// `same job by hand` does what `used` does without bough: an AbortController per request, a listener for the client's
// leaving, an abort on the first failure, and `Promise.allSettled` of the three tasks before the answer. The last column
// compares `used` and `all()` with it. `by hand, no join` has the controller and the listener alone.
//
// `--seconds` measures the heap instead of the speed, before and after a load of so many seconds.

import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { runtimeBinary } from "../../test/support/runtimes.js";
import { Load } from "./load.js";

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
const core = fileURLToPath(new URL("../../", import.meta.url));
/** Built, as users run it; inside the package, so that its dependencies are found. */
const bundles = `${core}node_modules/.cache/bough/bench-http/`;
const generations = Number(values.generations);
const rounds = Number(values.rounds);
const requests = Number(values.requests);
const connections = Number(values.connections);
const warmUp = Number(values["warm-up"]);
const frameworks = values.framework ?? ["http", "fastify", "express", "express4"];
const byHand = "same job by hand";
const all = ["plain", "control", "idle", "by hand, no join", byHand, "unused", "used", "all()"];
const variants = all.filter((name) => name === "plain" || (values.variant ?? all).includes(name));
const targets: Readonly<Record<string, number>> = { unused: 0.97, used: 0.9, "all()": 0.9 };
/** What these are to keep of the requests per second of the same job by hand. */
const handTargets: Readonly<Record<string, number>> = { used: 0.97, "all()": 1 };

interface Usage {
  /** User time since it was last asked for, in microseconds. */
  readonly cpu: number;
  /** Bytes. */
  readonly heap: number;
}

interface Running {
  readonly variant: string;
  readonly child: ChildProcess;
  readonly clients: Load;
}

type Row = Record<string, string | number>;

/** What runs the server of a framework. */
function runtimeOf(framework: string): { readonly execPath: string; readonly execArgv: string[] } {
  if (framework === "hono-bun") return { execPath: installed("bun"), execArgv: [] };
  if (framework === "hono-deno")
    return { execPath: installed("deno"), execArgv: ["run", "-A", "--v8-flags=--expose-gc"] };
  return { execPath: values.node, execArgv: ["--expose-gc"] };
}

function installed(name: "bun" | "deno"): string {
  const binary = runtimeBinary(name);
  if (binary === undefined)
    throw new Error(`${name} is not installed: run the tests with BOUGH_ALL_NODES=1 first`);
  return binary;
}

async function start(framework: string, variant: string): Promise<Running> {
  const script = `${bundles}${framework.startsWith("hono-") ? "web-server" : "server"}.mjs`;
  const child = fork(script, [framework, variant], runtimeOf(framework));
  const [{ port }] = (await once(child, "message")) as [{ port: number }];
  return { variant, child, clients: await Load.open(port, connections) };
}

/** By turns, as the rounds that count: V8 takes from a process that has nothing to do for some seconds. */
async function warm(servers: readonly Running[]): Promise<void> {
  const half = async (): Promise<void> => {
    for (let sent = 0; sent < warmUp / 2; sent += requests)
      for (const each of shuffled(servers)) await run(each, requests);
  };
  await half();
  // V8 forgets at a full collection what it knows of shapes that nothing has at that moment, and `process.nextTick` is
  // slower from then on. Every server comes to that, but a plain one only after minutes.
  for (const { child } of servers) await ask(child, "collect");
  await half();
}

function stop({ child, clients }: Running): void {
  clients.close();
  child.disconnect();
}

async function ask(child: ChildProcess, message: "collect" | "measure"): Promise<Usage> {
  const answer = once(child, "message");
  child.send(message);
  return ((await answer) as [Usage])[0];
}

/** Sends so many requests; resolves with the seconds it took. */
function run({ clients }: Running, amount: number): Promise<number> {
  let left = amount;
  return clients.run(() => left-- > 0);
}

/** Microseconds of a process in each of its rounds: what went by, and what its processor spent. */
class Costs {
  readonly elapsed: number[] = [];
  readonly cpu: number[] = [];
}

async function round(running: Running, costs: Costs): Promise<void> {
  await ask(running.child, "measure");
  costs.elapsed.push((await run(running, requests)) * 1e6);
  costs.cpu.push((await ask(running.child, "measure")).cpu);
}

/** What each variant cost, generation by generation. */
async function generate(framework: string): Promise<Map<string, Costs>> {
  const running: Running[] = [];
  for (const variant of variants) running.push(await start(framework, variant));
  await warm(running);
  const costs = new Map(variants.map((variant) => [variant, new Costs()]));
  for (let count = 0; count < rounds; count++) {
    // Each time in another order: what a server has still to do after its round is at the expense of the next.
    for (const each of shuffled(running)) await round(each, costs.get(each.variant) ?? new Costs());
  }
  running.forEach(stop);
  return costs;
}

async function compare(framework: string): Promise<Row[]> {
  const results: Map<string, Costs>[] = [];
  for (let generation = 1; generation <= generations; generation++) {
    results.push(await generate(framework));
    console.error(`${framework}: ${generation} of ${generations}`);
  }
  return variants.map((variant) => {
    const perRequest = (cost: keyof Costs): number =>
      median(results.map((costs) => median(costs.get(variant)?.[cost] ?? []) / requests));
    const share = (cost: keyof Costs, base = "plain"): string =>
      spread(
        results.map((costs) => medianRatio(costs.get(base)?.[cost] ?? [], costs.get(variant)?.[cost] ?? [])),
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

/** Of the ratios round by round: within one, the machine is as fast for the one as for the other. */
function medianRatio(plain: readonly number[], variant: readonly number[]): number {
  return median(plain.map((cost, index) => cost / (variant[index] ?? Number.NaN)));
}

/** The median over the generations, the least and the greatest. */
function spread(shares: readonly number[]): string {
  return `${median(shares).toFixed(3)} (${Math.min(...shares).toFixed(2)}–${Math.max(...shares).toFixed(2)})`;
}

function shuffled<T>(list: readonly T[]): T[] {
  const left = [...list];
  return list.flatMap(() => left.splice(Math.floor(Math.random() * left.length), 1));
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** The heap after a collection, before and after a load of so many seconds. */
async function weigh(framework: string, seconds: number): Promise<Row[]> {
  const rows: Row[] = [];
  for (const variant of variants) {
    const running = await start(framework, variant);
    await warm([running]);
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

await build({
  entryPoints: ["server", "web-server"].map((name) => fileURLToPath(new URL(`${name}.ts`, import.meta.url))),
  outdir: bundles,
  outExtension: { ".js": ".mjs" },
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  packages: "external",
  minifySyntax: true, // as in tsup.config.ts
});
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
