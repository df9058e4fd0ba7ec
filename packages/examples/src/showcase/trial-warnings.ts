// `npm run trial:warnings`: ten minutes of the price comparison, looked at once a second, must show no warning.
// `npm run trial:warnings -- --seconds=20` is shorter. Prints a table, and exits with 1 if there was a warning.

import { parseArgs } from "node:util";
import { isCancelled, sleep, spawn, withScope } from "bough";
import { createWatcher, walk, type NodeInfo, type Warning } from "bough/inspect";
import { serveLive } from "./live.js";

const { values } = parseArgs({ options: { seconds: { type: "string", default: "600" } } });
const seconds = Number(values.seconds);
if (!(seconds >= 5 && seconds <= 86_400))
  throw new RangeError(`--seconds must be a number from 5 to 86400, not ${JSON.stringify(values.seconds)}`);

const INTERVAL = 1_000;
const counts = { looks: 0, fewest: Infinity, most: 0 };
/** How many looks had each warning, by its title without numbers. */
const found = new Map<string, { looks: number; readonly warning: Warning }>();

async function nodesNow(): Promise<NodeInfo[]> {
  const nodes: NodeInfo[] = [];
  for await (const slice of walk()) nodes.push(...slice);
  return nodes;
}

const started = performance.now();
await withScope({ name: "showcase" }, async (scope) => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => scope.cancel(signal));
  spawn(scope, (own) => serveLive(own, { plantStuck: false, print: () => {} }), { name: "live" });
  const watcher = createWatcher();
  const end = started + seconds * 1_000;
  while (performance.now() < end) {
    await sleep(scope, INTERVAL);
    const nodes = await nodesNow();
    counts.looks += 1;
    counts.fewest = Math.min(counts.fewest, nodes.length);
    counts.most = Math.max(counts.most, nodes.length);
    for (const warning of watcher.add({ at: Date.now(), nodes })) {
      const key = `${warning.code}: ${warning.title.replace(/\d+(\.\d+)?/g, "#")}`;
      const known = found.get(key);
      if (known === undefined) found.set(key, { looks: 1, warning });
      else known.looks += 1;
    }
  }
  scope.cancel("over");
}).catch((error: unknown) => {
  if (!isCancelled(error)) throw error;
});

const memory = Math.round(process.memoryUsage().rss / 2 ** 20);
console.table({
  seconds: Math.round((performance.now() - started) / 1_000),
  looks: counts.looks,
  "scopes, fewest": counts.fewest,
  "scopes, most": counts.most,
  "MB at the end": memory,
  "kinds of warnings": found.size,
});
for (const [key, { looks, warning }] of found)
  console.log(
    `${key} (in ${looks} looks), for example:\n  ${[warning.title, ...warning.detail].join("\n  ")}`,
  );
process.exitCode = found.size === 0 ? 0 : 1;
