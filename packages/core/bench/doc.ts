import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { cells, markdown, targetCells } from "./format.js";
import { references, type Results } from "./results.js";
import type { Table } from "./harness.js";

const page = fileURLToPath(new URL("../../../docs/maintainers/performance.md", import.meta.url));
const START = "<!-- results: written by `pnpm bench --doc` -->";
const END = "<!-- end of the results -->";

/** Replaces what stands between the markers of docs/maintainers/performance.md with the tables of the last full runs. */
export function writeDoc(): string {
  const text = readFileSync(page, "utf8");
  const [start, end] = [text.indexOf(START), text.indexOf(END)];
  if (start < 0 || end < start) throw new Error(`${page} has lost its markers ${START} and ${END}`);
  const all = references();
  if (all.length === 0) throw new Error("There are no results yet: run `pnpm bench` first");
  const sections = all.map(section).join("\n\n");
  writeFileSync(page, `${text.slice(0, start + START.length)}\n\n${sections}\n\n${text.slice(end)}`);
  return page;
}

function section(results: Results): string {
  const tables = Object.values(results.groups).flat();
  const targets = tables.flatMap((table) => table.targets);
  const { node, date, commit, machine, load } = results;
  return [
    `### Node ${node.slice(1)}`,
    `${date.slice(0, 10)}, commit ${commit}, ${machine}; load ${load.toFixed(1)} when it started.`,
    markdown(targetCells(targets)),
    ...tables.map(tableSection),
  ].join("\n\n");
}

function tableSection(table: Table): string {
  return [`**${table.title}**`, markdown(cells(table)), ...table.notes].join("\n\n");
}
