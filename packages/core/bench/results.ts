import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, totalmem } from "node:os";
import { fileURLToPath } from "node:url";
import type { Table } from "./harness.js";

/** The results of one run, with the machine and the commit. */
export interface Results {
  readonly node: string;
  readonly date: string;
  readonly commit: string;
  readonly machine: string;
  /** Processes that wanted to run, on average of the minute before; far below the number of cores on a quiet machine. */
  readonly load: number;
  readonly quick: boolean;
  readonly groups: Readonly<Record<string, readonly Table[]>>;
}

export const folder: string = fileURLToPath(new URL("results/", import.meta.url));

/** The circumstances of this run; call it before the work, so that the load is not its own. */
export function circumstances(quick: boolean): Omit<Results, "groups"> {
  const model = cpus()[0]?.model.trim() ?? "unknown processor";
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  return {
    node: process.version,
    date: new Date().toISOString(),
    commit: commit(),
    machine: `${availableParallelism()} cores, ${model}, ${memory}, ${process.platform} ${process.arch}`,
    load: loadavg()[0] ?? NaN,
    quick,
  };
}

/** The commit that is checked out, marked if the sources differ from it. */
function commit(): string {
  const git = (...args: string[]): string =>
    execFileSync("git", args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  try {
    const changed = git("status", "--porcelain", "--", "../../src") !== "";
    return git("rev-parse", "--short", "HEAD") + (changed ? " and uncommitted changes" : "");
  } catch {
    return "unknown"; // not a checkout
  }
}

/** Writes the JSON, and returns its path. */
export function save(results: Results, reference: boolean): string {
  mkdirSync(folder, { recursive: true });
  const name = reference ? `node-${results.node.slice(1).split(".")[0]}.json` : "last.json";
  writeFileSync(folder + name, `${JSON.stringify(results, null, 2)}\n`);
  return folder + name;
}

/** The results of the full runs, the oldest Node first. */
export function references(): readonly Results[] {
  const files = readdirSync(folder).filter((name) => /^node-\d+\.json$/.test(name));
  return files.sort().map((name) => JSON.parse(readFileSync(folder + name, "utf8")) as Results);
}
