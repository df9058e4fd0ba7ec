import type { Paint } from "../showcase/terminal/paint.js";
import type { View } from "../showcase/terminal/stage.js";
import type { Item } from "./items.js";

const BAR = 24;

/** A bar for each download that runs, and below them one for all; in a log, all in one line. */
export function createProgress(items: readonly Item[], paint: Paint): View {
  const longest = Math.max("all".length, ...items.map(({ name }) => name.length));
  return {
    frame({ rows }) {
      const running = items.filter(({ state }) => state === "running");
      const lines = running.map(
        (item) => `  ${item.name.padEnd(longest)} ${bar(shareOf(item), paint)} ${amount(item)}`,
      );
      const bounded = lines.length < rows ? lines : lines.slice(0, rows - 1);
      return [
        ...bounded,
        paint.bold(`  ${"all".padEnd(longest)} ${bar(total(items), paint)} ${finished(items)}`),
      ];
    },
    line: () => `${Math.floor(total(items) * 100)} %, ${finished(items)}`,
  };
}

const isFinished = ({ state }: Item): boolean => state !== "waiting" && state !== "running";

/** From 0 to 1; 0 while the size is not known. */
function shareOf(item: Item): number {
  if (isFinished(item)) return 1;
  return item.size === undefined ? 0 : Math.min(1, item.received / item.size);
}

/** Each file counts the same: how large those are that have not begun, only their server knows. */
function total(items: readonly Item[]): number {
  return items.reduce((sum, item) => sum + shareOf(item), 0) / Math.max(1, items.length);
}

function bar(share: number, paint: Paint): string {
  const full = Math.round(share * BAR);
  return `${paint.cyan("█".repeat(full))}${paint.dim("░".repeat(BAR - full))} ${`${Math.floor(share * 100)}`.padStart(3)} %`;
}

function amount({ received, size }: Item): string {
  return size === undefined ? megabytes(received) : `${megabytes(received)} of ${megabytes(size)}`;
}

const megabytes = (bytes: number): string => `${(bytes / 1_000_000).toFixed(1)} MB`;

const finished = (items: readonly Item[]): string =>
  `${items.filter(isFinished).length} of ${items.length} files`;
