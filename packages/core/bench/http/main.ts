// Requests per second of an app with the integration, as a share of the plain app's, and the processor time that a
// request costs its server, which other load on the machine disturbs less.
//
//     node --import tsx bench/http/main.ts [--framework=fastify] [--variant=used] [--rounds=15] [--requests=10000]
//
// Every variant takes its turn in every round; `control` is the plain app once more: what differs there is noise.
// `by hand` is the plain app with an AbortController per request, listened to as in `used`: what Node's own part of the
// price is.

import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { load } from "./load.js";

const { values } = parseArgs({
  options: {
    framework: { type: "string", multiple: true },
    variant: { type: "string", multiple: true },
    rounds: { type: "string", default: "15" },
    requests: { type: "string", default: "10000" },
    connections: { type: "string", default: "50" },
    node: { type: "string", default: process.execPath },
  },
});
const core = fileURLToPath(new URL("../../", import.meta.url));
/** Built, as users run it; inside the package, so that its dependencies are found. */
const bundle = `${core}node_modules/.cache/bough/bench-http.mjs`;
const rounds = Number(values.rounds);
const requests = Number(values.requests);
const connections = Number(values.connections);
const frameworks = values.framework ?? ["http", "fastify", "express", "express4"];
const all = ["plain", "control", "by hand", "unused", "used"];
const variants = all.filter((name) => name === "plain" || (values.variant ?? all).includes(name));
const targets: Readonly<Record<string, number>> = { unused: 0.97, used: 0.9 };

interface Sample {
  readonly perSecond: number;
  /** Microseconds of the server's processor time per request. */
  readonly cpu: number;
  readonly heap: number;
}

interface Running {
  readonly child: ChildProcess;
  readonly port: number;
  readonly samples: Sample[];
}

interface Usage {
  readonly cpu: number;
  readonly heap: number;
}

async function start(framework: string, variant: string): Promise<Running> {
  const child = fork(bundle, [framework, variant], {
    execPath: values.node,
    execArgv: ["--expose-gc"],
  });
  const [{ port }] = (await once(child, "message")) as [{ port: number }];
  return { child, port, samples: [] };
}

async function usage(child: ChildProcess, message: "collect" | "measure"): Promise<Usage> {
  const answer = once(child, "message");
  child.send(message);
  return ((await answer) as [Usage])[0];
}

async function round({ child, port }: Running): Promise<Sample> {
  await usage(child, "collect");
  await usage(child, "measure");
  const seconds = await load(port, connections, requests);
  const { cpu } = await usage(child, "measure");
  const { heap } = await usage(child, "collect");
  return { perSecond: requests / seconds, cpu: cpu / requests, heap };
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** The median of the three smallest. */
function least(numbers: readonly number[]): number {
  return median(numbers.toSorted((a, b) => a - b).slice(0, 3));
}

async function measure(framework: string): Promise<Record<string, unknown>[]> {
  const running = new Map<string, Running>();
  for (const variant of variants) running.set(variant, await start(framework, variant));
  try {
    for (const each of running.values()) await round(each); // warms up
    for (let count = 0; count < rounds; count++) {
      // Each time in another order, so that nobody always comes after the same one.
      const order = variants.map((_, index) => variants[(index + count) % variants.length] ?? "plain");
      for (const variant of order) {
        const each = running.get(variant) as Running;
        each.samples.push(await round(each));
      }
    }
  } finally {
    for (const { child } of running.values()) child.disconnect();
  }
  const plain = running.get("plain")?.samples ?? [];
  return variants.map((variant) => {
    const samples = running.get(variant)?.samples ?? [];
    // Round by round: what disturbs a round disturbs its neighbours alike.
    const share = median(
      samples.map((sample, index) => sample.perSecond / (plain[index] ?? sample).perSecond),
    );
    return {
      framework,
      variant,
      "requests/s": Math.round(median(samples.map(({ perSecond }) => perSecond))),
      share: share.toFixed(3),
      "µs/request": least(samples.map(({ cpu }) => cpu)).toFixed(1),
      // The least disturbed round of each.
      "share by cpu": (least(plain.map(({ cpu }) => cpu)) / least(samples.map(({ cpu }) => cpu))).toFixed(3),
      target: targets[variant] ?? "",
      "heap, MB": `${((samples[0]?.heap ?? 0) / 1e6).toFixed(1)} → ${((samples.at(-1)?.heap ?? 0) / 1e6).toFixed(1)}`,
    };
  });
}

await build({
  entryPoints: [fileURLToPath(new URL("server.ts", import.meta.url))],
  outfile: bundle,
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  packages: "external",
});
const rows: Record<string, unknown>[] = [];
for (const framework of frameworks) {
  const table = await measure(framework);
  console.table(Object.fromEntries(table.map(({ variant, ...row }) => [String(variant), row])));
  rows.push(...table);
}
const results = fileURLToPath(new URL("../results/", import.meta.url));
mkdirSync(results, { recursive: true });
writeFileSync(
  `${results}http.json`,
  `${JSON.stringify({ node: process.version, rounds, requests, rows }, null, 2)}\n`,
);
