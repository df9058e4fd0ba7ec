import { spawn as startProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import type { Scope } from "bough";
import { findPrograms, whyNotEmbedded } from "./embedded.js";

/**
 * $1: the folder of the programs, $2: the folder of the data. Says `ready`, and runs until its stdin is closed. The end
 * of this process, also by `kill -9`, closes it: no Postgres and no data are left behind.
 */
const KEEPER = `
finish() {
  code=$?
  [ $code -eq 0 ] || cat "$2/log" >&2
  [ ! -e "$2/data/postmaster.pid" ] || "$1/pg_ctl" stop -D "$2/data" -m fast -w >>"$2/log" 2>&1
  rm -rf "$2"
}
trap 'finish "$@"' EXIT
set -e
"$1/initdb" -D "$2/data" -U postgres -A trust --locale=C --encoding=UTF8 --no-sync >"$2/log" 2>&1
"$1/pg_ctl" start -D "$2/data" -l "$2/log" -w -o "-c listen_addresses= -c fsync=off -p 5432 -k '$2'" >>"$2/log" 2>&1
echo ready
read -r _ || true
`;

/** Why `startPostgres` can't give one: there is no `DATABASE_URL`, and no embedded one for this platform. */
export function whyNoPostgres(): string | undefined {
  return isGiven(process.env["DATABASE_URL"]) ? undefined : whyNotEmbedded();
}

function isGiven(url: string | undefined): url is string {
  return url !== undefined && url !== "";
}

/**
 * A Postgres for `scope`: the one of `DATABASE_URL`, else one from an npm package, with data of its own that are gone
 * with it. It listens on a Unix socket in its own folder only: no port, nothing that others could reach.
 *
 * **Cancellation:** it is stopped by a `defer`: after everything that was opened later is closed. A start, which takes
 * a second or two, is not cut short.
 *
 * @returns Its URL.
 * @throws {Error} (as a rejection) If there is no build for this platform, or it does not start: with its log.
 */
export async function startPostgres(scope: Scope): Promise<string> {
  const given = process.env["DATABASE_URL"];
  if (isGiven(given)) return given;
  const folder = await mkdtemp(join(tmpdir(), "bough-postgres-"));
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  const { bin, user } = await findPrograms(folder);
  scope.throwIfCancelled();
  const keeper = startProcess("/bin/sh", ["-c", KEEPER, "keeper", bin, folder], {
    ...user,
    cwd: folder,
    env: { PATH: process.env["PATH"], LC_ALL: "C" },
    detached: true, // Ctrl-C on a terminal goes to the whole group, and would end the database first
  });
  const ended = once(keeper, "close");
  scope.defer(async () => {
    keeper.stdin.end();
    await ended;
  });
  const log = text(keeper.stderr);
  if (!(await saysSomething(keeper.stdout))) throw new Error(`Postgres did not start:\n${await log}`);
  scope.throwIfCancelled();
  // These values can't come from PGPORT and similar variables.
  return `postgresql://postgres@localhost:5432/postgres?host=${encodeURIComponent(folder)}`;
}

async function saysSomething(output: Readable): Promise<boolean> {
  for await (const _ of output) return true;
  return false;
}
