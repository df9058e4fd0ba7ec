// Runs all groups of benchmarks, each in a separate process, so that no group collects the garbage of another. Within a group,
// every row has a turn in every round. See docs/maintainers/performance.md.

import { execFileSync, fork } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { writeDoc } from "./doc.js";
import { aligned, cells, targetCells } from "./format.js";
import { collect, type Group, type Table } from "./harness.js";
import { runOnAllNodes } from "./nodes.js";
import { options, usage } from "./options.js";
import { circumstances, save } from "./results.js";

const core = fileURLToPath(new URL("../", import.meta.url));

/** Builds bough if its sources are newer than the build. */
function build(): void {
  const sources = readdirSync(`${core}src`, { recursive: true, encoding: "utf8" });
  const newest = Math.max(...sources.map((path) => statSync(`${core}src/${path}`).mtimeMs));
  if (existsSync(options.dist) && (options.otherBuild || statSync(options.dist).mtimeMs >= newest)) return;
  if (options.otherBuild) throw new Error(`There is no build at ${options.dist}`);
  console.error("building bough …");
  execFileSync("npm", ["run", "--silent", "build"], { cwd: core, stdio: ["ignore", "ignore", "inherit"] });
}

/** Loaded late: the groups load the build. */
async function loadGroups(): Promise<readonly Group[]> {
  const { spawnJoin } = await import("./spawn-join.js");
  const { suspended } = await import("./suspended.js");
  const { signals } = await import("./signals.js");
  const { shape } = await import("./shape.js");
  const { retained } = await import("./retained.js");
  const { foreign } = await import("./foreign.js");
  const { calls } = await import("./calls.js");
  const { orphans } = await import("./orphans.js");
  const { orphansUnderLoad } = await import("./orphans-under-load.js");
  const { forwarding } = await import("./forwarding.js");
  const { flow } = await import("./flow.js");
  return [
    spawnJoin,
    suspended,
    signals,
    shape,
    retained,
    foreign,
    calls,
    orphans,
    orphansUnderLoad,
    forwarding,
    flow,
  ];
}

const started = Date.now();

/** One line on stderr that replaces itself; a line now and then where it can't. */
function progress(group: string): (text: string) => void {
  let last = 0;
  return (text) => {
    const now = Date.now();
    if (now - last < (process.stderr.isTTY ? 100 : 5000)) return;
    last = now;
    const line = `[${Math.round((now - started) / 1000)} s] Node ${process.versions.node}, ${group}, ${text}`;
    process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${line}` : `${line}\n`);
  };
}

function show(table: Table): void {
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  console.log(`\n${table.title}\n\n${aligned(cells(table))}`);
  for (const note of table.notes) console.log(note);
}

/** Set in the process of one group. */
const GROUP = "BOUGH_BENCH_GROUP";

async function runElsewhere(name: string): Promise<readonly Table[]> {
  const child = fork(fileURLToPath(import.meta.url), process.argv.slice(2), {
    env: { ...process.env, [GROUP]: name },
    serialization: "advanced", // there may be figures that are no numbers
  });
  const exit = once(child, "exit") as Promise<[number | null]>;
  const said = await Promise.race([once(child, "message"), exit.then(() => undefined)]);
  const [code] = await exit;
  if (said === undefined || code !== 0) throw new Error(`The group ${name} has ended with code ${code}`);
  return said[0] as readonly Table[];
}

/** In the process of one group. */
async function runHere(name: string): Promise<void> {
  const group = (await loadGroups()).find((one) => one.name === name);
  if (group === undefined) throw new Error(`There is no group ${name}`);
  collect();
  process.send?.(await group.run(progress(name)), () => process.disconnect());
}

async function measure(): Promise<void> {
  build();
  const groups = (await loadGroups()).filter(
    ({ name }) => options.only.length === 0 || options.only.some((part) => name.includes(part)),
  );
  if (groups.length === 0) throw new Error(`No group is called like ${options.only.join(" or ")}`);
  const about = circumstances(options.quick);
  console.log(`Node ${about.node}, ${about.machine}, load ${about.load.toFixed(1)}, commit ${about.commit}`);
  const found: Record<string, readonly Table[]> = {};
  for (const group of groups) {
    const tables = await runElsewhere(group.name);
    for (const table of tables) show(table);
    found[group.name] = tables;
  }
  const targets = Object.values(found).flatMap((tables) => tables.flatMap((table) => table.targets));
  console.log(targets.length === 0 ? "" : `\nTargets\n\n${aligned(targetCells(targets))}\n`);
  const path = save({ ...about, groups: found }, options.reference);
  console.log(`${Math.round((Date.now() - started) / 1000)} s; written to ${path}`);
}

if (options.help) console.log(usage);
else if (options.doc) console.log(`rewritten: ${writeDoc()}`);
else if (options.allNodes) process.exitCode = runOnAllNodes();
else if (process.env[GROUP] !== undefined) await runHere(process.env[GROUP]);
else await measure();
