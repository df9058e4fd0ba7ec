import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string", multiple: true, default: [] },
    doc: { type: "boolean", default: false },
    "all-nodes": { type: "boolean", default: false },
    dist: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  },
});

export const usage = `pnpm bench [--quick] [--only <group>]… [--all-nodes] [--doc] [--dist <index.js>]

  --quick      few rounds, under a minute: to see that it runs, not to quote
  --only       only the groups whose name contains this; may be given several times
  --all-nodes  on Node 20, 24 and 26, one after the other (installs what is missing from npm)
  --doc        run nothing; rewrite the tables of docs/maintainers/performance.md from bench/results/*.json
  --dist       another build of bough, to compare two: its index.js

A full run writes bench/results/node-<major>.json; one with --quick, --only or --dist writes last.json there.`;

const built = fileURLToPath(new URL("../dist/index.js", import.meta.url));

/** The options of the command line. */
export const options = {
  ...values,
  dist: resolve(values.dist ?? built),
  allNodes: values["all-nodes"],
  otherBuild: values.dist !== undefined,
  /** Whether the results are fit to be kept and quoted. */
  reference: !values.quick && values.only.length === 0 && values.dist === undefined,
} as const;

/** `full` rounds, or `quick` ones with `--quick`. */
export function rounds(full: number, quick: number): number {
  return options.quick ? quick : full;
}
