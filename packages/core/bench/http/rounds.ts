// Compares servers, each in a separate process. The speed of a machine drifts, so each round lasts some ten ms, and every
// variant has a turn in it. Two processes that run the same code differ by some percent for as long as they live, so each
// generation starts all of them anew.

import { fork, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { inlineState } from "../../scripts/inline-state.mjs";
import { Load } from "./load.js";

/** How much is measured. */
export interface Plan {
  readonly generations: number;
  readonly rounds: number;
  /** In each round, of each variant. */
  readonly requests: number;
  readonly connections: number;
  /** Requests to each variant before the first round. */
  readonly warmUp: number;
}

/** The plan that the options of the command line ask for. */
export function planOf(options: Readonly<Record<keyof Omit<Plan, "warmUp"> | "warm-up", string>>): Plan {
  return {
    generations: Number(options.generations),
    rounds: Number(options.rounds),
    requests: Number(options.requests),
    connections: Number(options.connections),
    warmUp: Number(options["warm-up"]),
  };
}

export interface Usage {
  /** Processor time since it was last asked for, in microseconds. */
  readonly cpu: number;
  /** Bytes. */
  readonly heap: number;
}

export interface Running {
  readonly variant: string;
  readonly child: ChildProcess;
  readonly clients: Load;
}

/** Starts the server of a variant. */
export type Start = (variant: string) => Promise<Running>;

/** Built, as users run it; inside the package, so that its dependencies are found. */
const bundles = fileURLToPath(new URL("../../node_modules/.cache/bough/bench-http/", import.meta.url));

/** Bundles a server of this folder. Returns the path of the script. */
export async function bundle(name: string): Promise<string> {
  await build({
    entryPoints: [fileURLToPath(new URL(`${name}.ts`, import.meta.url))],
    outdir: bundles,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    packages: "external",
    // As in tsup.config.ts.
    minifySyntax: true,
    plugins: [inlineState],
    tsconfig: fileURLToPath(new URL("../../tsconfig.build.json", import.meta.url)),
  });
  return `${bundles}${name}.mjs`;
}

/** The command that runs a server. */
export interface Runtime {
  readonly execPath: string;
  readonly execArgv: string[];
}

/**
 * Gives the clients a core and the servers another, if the machine has two, and `taskset`. The clients never sleep: elsewhere
 * the threads with which a server collects its garbage wait for them, and the server for its threads.
 */
const havePlaces = ((): boolean => {
  const isMoved = (args: readonly string[]): boolean => spawnSync("taskset", args).status === 0;
  return isMoved(["-c", "1", "true"]) && isMoved(["-a", "-c", "-p", "0", String(process.pid)]);
})();

function placed({ execPath, execArgv }: Runtime): Runtime {
  return havePlaces
    ? { execPath: "taskset", execArgv: ["-c", "1", execPath, ...execArgv] }
    : { execPath, execArgv };
}

export async function start(
  runtime: Runtime,
  script: string,
  framework: string,
  variant: string,
  connections: number,
): Promise<Running> {
  const child = fork(script, [framework, variant], placed(runtime));
  const [{ port }] = (await once(child, "message")) as [{ port: number }];
  return { variant, child, clients: await Load.open(port, connections) };
}

export function stop({ child, clients }: Running): void {
  clients.close();
  child.disconnect();
}

export async function ask(child: ChildProcess, message: "collect" | "measure"): Promise<Usage> {
  const answer = once(child, "message");
  child.send(message);
  return ((await answer) as [Usage])[0];
}

/** By turns, as the rounds that count: V8 takes from a process that has nothing to do for some seconds. */
export async function warm(servers: readonly Running[], { warmUp, requests }: Plan): Promise<void> {
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

/** Sends so many requests; resolves with the seconds it took. */
function run({ clients }: Running, amount: number): Promise<number> {
  let left = amount;
  return clients.run(() => left-- > 0);
}

/** Microseconds of a process in each of its rounds: what went by, and what its processor spent. */
export class Costs {
  readonly elapsed: number[] = [];
  readonly cpu: number[] = [];
}

/** The cost of each variant in one generation. */
export async function generate(
  variants: readonly string[],
  startVariant: Start,
  plan: Plan,
): Promise<Map<string, Costs>> {
  const running: Running[] = [];
  for (const variant of variants) running.push(await startVariant(variant));
  await warm(running, plan);
  const costs = new Map(variants.map((variant) => [variant, new Costs()]));
  for (let count = 0; count < plan.rounds; count++) {
    // Each time in another order: what a server has still to do after its round is at the expense of the next.
    for (const each of shuffled(running))
      await round(each, plan.requests, costs.get(each.variant) ?? new Costs());
  }
  running.forEach(stop);
  return costs;
}

async function round(running: Running, requests: number, costs: Costs): Promise<void> {
  await ask(running.child, "measure");
  costs.elapsed.push((await run(running, requests)) * 1e6);
  costs.cpu.push((await ask(running.child, "measure")).cpu);
}

/** Round by round: within one, the machine is as fast for the one as for the other. */
export function ratios(base: readonly number[], variant: readonly number[]): readonly number[] {
  return base.map((cost, index) => cost / (variant[index] ?? Number.NaN));
}

function shuffled<T>(list: readonly T[]): T[] {
  const left = [...list];
  return list.flatMap(() => left.splice(Math.floor(Math.random() * left.length), 1));
}

export function median(numbers: readonly number[]): number {
  return quantile(numbers, 0.5);
}

/** Between two numbers, in proportion. */
export function quantile(numbers: readonly number[], share: number): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const place = (sorted.length - 1) * share;
  const below = sorted[Math.floor(place)] ?? Number.NaN;
  const above = sorted[Math.ceil(place)] ?? Number.NaN;
  return below + (above - below) * (place - Math.floor(place));
}
