import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";

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
/** Where what the tests install is kept from run to run. */
export const cache: string = new URL("../../../../node_modules/.cache/bough/nodes/", import.meta.url)
  .pathname;
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

/** As {@link nodes}, for slow tests: only the running release has a `path`, unless `BOUGH_ALL_NODES=1`. */
export function nodesForSlowTests(): readonly NodeBinary[] {
  if (process.env["BOUGH_ALL_NODES"] === "1") return nodes();
  return nodes().map((node) =>
    node.major === current
      ? node
      : { ...node, path: undefined, label: `Node ${node.major} (BOUGH_ALL_NODES=1)` },
  );
}

/** Installs what is missing of {@link majors} from the npm packages `node@…`. */
export function installNodes(): void {
  for (const major of majors) {
    if (major !== current) install(`node@${major}`, folderOf(major), binaryIn(folderOf(major)));
  }
}

/** Installs an npm package into `folder`, unless `binary`, a file below it, is there. */
export function install(specifier: string, folder: string, binary: string): void {
  if (existsSync(binary)) return;
  mkdirSync(dirname(folder), { recursive: true });
  console.log(`installing ${specifier} for the tests …`);
  // In a folder of its own, then renamed: another run may be doing the same.
  const fresh = mkdtempSync(`${folder}-`);
  execFileSync("npm", ["install", "--no-audit", "--no-fund", "--silent", "--prefix", fresh, specifier]);
  try {
    renameSync(fresh, folder);
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true });
    if (!existsSync(binary)) throw error;
  }
}
