import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { itemsOf, type Item } from "./items.js";

export const usage = `Usage: fetcher [--to=DIR] [--concurrency=N] URL…
       fetcher --demo [--to=DIR] [--concurrency=N]

Downloads the URLs in parallel into DIR (default: the current directory).
Ctrl-C leaves only complete files behind.

--demo         download from a slow server that it starts itself, by default
               into a folder for temporary files
--concurrency  how many downloads run at once (default: 4)`;

/** The parsed command line. */
export interface Arguments {
  readonly items: readonly Item[];
  readonly demo: boolean;
  readonly to: string;
  readonly concurrency: number;
}

/** A command line that can't be understood. */
export class UsageError extends Error {}

/** @throws {UsageError} */
export function readArguments(args: readonly string[]): Arguments {
  const { values, positionals } = parse(args);
  const demo = values.demo ?? false;
  if (demo === positionals.length > 0) throw new UsageError("give either --demo or URLs");
  const concurrency = Number(values.concurrency ?? 4);
  if (!Number.isInteger(concurrency) || concurrency < 1)
    throw new UsageError(`--concurrency must be a whole number from 1, got ${values.concurrency}`);
  const to = values.to ?? (demo ? join(tmpdir(), "bough-fetcher") : ".");
  return { items: orUsage(() => itemsOf(positionals)), demo, to, concurrency };
}

function parse(args: readonly string[]) {
  return orUsage(() =>
    parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { to: { type: "string" }, concurrency: { type: "string" }, demo: { type: "boolean" } },
    }),
  );
}

function orUsage<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}
