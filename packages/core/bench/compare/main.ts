import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import type * as Bough from "../../src/index.js";
import type * as Operations from "./operations.js";
import type { Operation } from "./operations.js";

const usage = `pnpm bench:compare --before <index.js> [--only <text>]… [--seconds <n>] [--swap]

Times each operation with two builds of bough in one process: --before, and dist of this package.

  --before   the index.js of the other build
  --only     only the operations whose name contains this; may be given several times
  --seconds  for each operation (1)
  --swap     loads this package's build first`;

const { values } = parseArgs({
  options: {
    before: { type: "string" },
    only: { type: "string", multiple: true, default: [] },
    seconds: { type: "string", default: "1" },
    swap: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});

async function load(index: string, name: string): Promise<ReturnType<typeof Operations.operations>> {
  const bough = (await import(pathToFileURL(index).href)) as typeof Bough;
  const file = new URL(`operations.ts?${name}`, import.meta.url).href;
  return ((await import(file)) as typeof Operations).operations(bough);
}

/** The fastest tenth: on a busy machine the others were interrupted. The first half is the warm-up. */
function tenth(times: readonly number[]): number {
  const warm = times.slice(times.length / 2).sort((a, b) => a - b);
  return warm[Math.floor(warm.length / 10)] ?? NaN;
}

/** Returns the nanoseconds of both; of an operation that the other build does not have, `undefined`. */
async function compare(before: Operation, now: Operation): Promise<[number, number] | undefined> {
  try {
    await before.run();
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
  const times: [number[], number[]] = [[], []];
  const end = performance.now() + 1_000 * Number(values.seconds);
  for (let round = 0; round < 100 || performance.now() < end; round++) {
    const order = round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const); // what one leaves behind disturbs the other
    for (const at of order) {
      const { run, count } = [before, now][at]!;
      times[at].push(((await run()) * 1e6) / count);
    }
  }
  return [tenth(times[0]), tenth(times[1])];
}

if (values.help || values.before === undefined) {
  console.log(usage);
} else {
  const own = fileURLToPath(new URL("../../dist/index.js", import.meta.url));
  const sides = [
    ["before", resolve(values.before)],
    ["now", own],
  ] as const;
  const loaded: Record<string, ReturnType<typeof Operations.operations>> = {};
  for (const [name, index] of values.swap ? [...sides].reverse() : sides)
    loaded[name] = await load(index, name);
  console.log(`${"Node " + process.versions.node.padEnd(35)}  before, ns  now, ns  ratio`);
  for (const [name, now] of loaded["now"] ?? []) {
    const before = loaded["before"]?.get(name);
    if (before === undefined || (values.only.length > 0 && !values.only.some((text) => name.includes(text))))
      continue;
    const measured = await compare(before, now);
    if (measured === undefined) continue;
    const [was, is] = measured;
    const cells = [was.toFixed(0).padStart(10), is.toFixed(0).padStart(7), (is / was).toFixed(2).padStart(5)];
    console.log(`${name.padEnd(40)}  ${cells.join("  ")}`);
  }
  process.exit();
}
