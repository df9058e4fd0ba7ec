import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { installNodes, nodes } from "../test/support/nodes.js";

/** The releases that the targets are given for. */
const MAJORS: readonly number[] = [20, 24, 26];

/** Runs this benchmark with the same arguments on each Node, one after the other; returns the first bad exit code. */
export function runOnAllNodes(): number {
  installNodes();
  const main = fileURLToPath(new URL("main.ts", import.meta.url));
  const args = process.argv.slice(2).filter((argument) => argument !== "--all-nodes");
  for (const { major, path } of nodes()) {
    if (!MAJORS.includes(major) || path === undefined) continue;
    const { status } = spawnSync(path, ["--expose-gc", "--import", "tsx", main, ...args], {
      stdio: "inherit",
    });
    if (status !== 0) return status ?? 1;
  }
  return 0;
}
