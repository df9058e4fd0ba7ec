import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { map, spawn, ticker, withScope, type Scope } from "bough";
import type { Paint } from "../showcase/terminal/paint.js";
import type { Stage } from "../showcase/terminal/stage.js";
import { download } from "./download.js";
import type { Item } from "./items.js";
import { createProgress } from "./progress.js";

/** Prints a line that stays. */
type Say = (line: string) => void;

export interface FetchOptions {
  /** The folder. */
  readonly to: string;
  /** How many downloads run at once. */
  readonly concurrency: number;
  readonly stage: Stage;
}

/**
 * Downloads all `items`, so many at once, and shows how far they are. A download that fails is reported and does not
 * concern the others. A file that is there already is complete, and not fetched again.
 *
 * @returns Whether all are there.
 */
export function fetchAll(scope: Scope, items: readonly Item[], options: FetchOptions): Promise<boolean> {
  const { to, concurrency, stage } = options;
  const say: Say = (line) => {
    stage.clear();
    stage.print([line]);
  };
  return withScope(scope, { name: "downloads" }, async (scope) => {
    scope.defer(() => say(summary(scope, items, to)));
    await mkdir(to, { recursive: true });
    spawnPainter(scope, items, stage);
    await map(scope, items, (item, scope) => fetchOne(scope, item, to, stage.paint, say), { concurrency });
    return items.every(({ state }) => state !== "failed");
  });
}

async function fetchOne(scope: Scope, item: Item, to: string, paint: Paint, say: Say): Promise<void> {
  const path = join(to, item.name);
  if (existsSync(path)) {
    item.state = "skipped";
    say(paint.dim(`– ${item.name} is there already`));
    return;
  }
  item.state = "running";
  try {
    await download(scope, item, path);
    item.state = "done";
    say(`${paint.green("✓")} ${item.name}`);
  } catch (error) {
    item.state = scope.cancelled ? "stopped" : "failed";
    if (scope.cancelled) throw error;
    say(`${paint.red("✗")} ${item.name}: ${explain(error)}`);
  }
}

/** `fetch` says "fetch failed" or "terminated", and has the reason as its cause. */
function explain(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error ? `${message}: ${cause.message}` : message;
}

/** A daemon: it draws until all other work in the scope is done. */
function spawnPainter(scope: Scope, items: readonly Item[], stage: Stage): void {
  const view = createProgress(items, stage.paint);
  spawn(
    scope,
    async function painter(task) {
      for await (const _ of ticker(task, stage.interval)) stage.draw(view);
    },
    { daemon: true },
  );
}

function summary(scope: Scope, items: readonly Item[], to: string): string {
  const count = (state: Item["state"]): number => items.filter((item) => item.state === state).length;
  const complete = count("done") + count("skipped");
  const { reason } = scope;
  const why = typeof reason?.cause === "string" ? reason.cause : reason?.kind; // the signal's name
  const head = why === undefined ? "" : `Stopped (${why}): `;
  return `${head}${complete} of ${items.length} files are in ${to}, each of them complete.`;
}
