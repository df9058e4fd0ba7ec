import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

/** The Node releases that bough is tested on. */
const majors = [20, 22, 24, 26] as const;

/** One Node release: where its binary is, or why it is not used in this run. */
export interface NodeBinary {
  readonly major: number;
  readonly path: string | undefined;
  /** For test titles: `Node 26`, or `Node 26 (set BOUGH_ALL_NODES=1 to install it)`. */
  readonly label: string;
}

const current = Number(process.versions.node.split(".")[0]);
const cache = new URL("../../../../node_modules/.cache/bough/nodes/", import.meta.url).pathname;
const binaryIn = (folder: string): string => join(folder, "node_modules/node/bin/node");
const folderOf = (major: number): string => join(cache, String(major));

/**
 * Every supported Node release; those that are neither running nor installed have no `path`.
 *
 * `BOUGH_ALL_NODES=1` installs all of them before the tests start; without it, those that an earlier run
 * has installed are used.
 *
 * @example
 * ```ts no-run
 * for (const node of nodes()) {
 *   test.skipIf(!node.path)(`works on ${node.label}`, () => execFileSync(node.path!, ["script.mjs"]));
 * }
 * ```
 */
export function nodes(): readonly NodeBinary[] {
  return majors.map((major) => {
    const path = major === current ? process.execPath : binaryIn(folderOf(major));
    return existsSync(path)
      ? { major, path, label: `Node ${major}` }
      : { major, path: undefined, label: `Node ${major} (set BOUGH_ALL_NODES=1 to install it)` };
  });
}

/** Installs what is missing of {@link majors} from the npm packages `node@…`. */
export function installNodes(): void {
  mkdirSync(cache, { recursive: true });
  for (const major of majors) {
    if (major === current || existsSync(binaryIn(folderOf(major)))) continue;
    console.log(`installing Node ${major} for the tests (npm package node@${major}) …`);
    // In a folder of its own, then renamed: another run may be doing the same.
    const folder = mkdtempSync(join(cache, `${major}-`));
    execFileSync("npm", [
      "install",
      "--no-audit",
      "--no-fund",
      "--silent",
      "--prefix",
      folder,
      `node@${major}`,
    ]);
    try {
      renameSync(folder, folderOf(major));
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      if (!existsSync(binaryIn(folderOf(major)))) throw error;
    }
  }
}
