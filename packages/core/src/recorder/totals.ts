import type { EndStatus } from "./records.js";

/** The upper bounds of the classes of life times, in seconds. Longer lives are in a class of their own. */
export const LIFE_BOUNDS: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300,
];

/** What has happened to the scopes of one kind since the recording began, also if it is not in the recording any more. */
export interface KindTotals {
  /** How many have started. */
  started: number;
  /** How many have ended, by their status. */
  readonly settled: { [K in EndStatus]: number };
  /** How many of those that have ended lived up to each of the bounds of the classes, and longer: one more number. */
  readonly lives: number[];
  /** The sum of their lives in seconds. */
  lifeSum: number;
}

/** What has happened since the recording began. These numbers only grow. */
export interface Totals {
  /** By kind: `task`, `request`, `withScope` … */
  readonly kinds: { [kind: string]: KindTotals };
  /** Cancellations, by the kind of their reason. */
  readonly cancelled: { [kind: string]: number };
  /** Grace periods that ended with something still running. */
  stuck: number;
  /** Scopes whose owner handle was collected. */
  orphans: number;
}

export function emptyTotals(): Totals {
  return { kinds: {}, cancelled: {}, stuck: 0, orphans: 0 };
}

/** The totals of a kind. A kind that is not there yet begins at zero. */
export function totalsOf({ kinds }: Totals, kind: string): KindTotals {
  return (kinds[kind] ??= {
    started: 0,
    settled: { succeeded: 0, failed: 0, cancelled: 0 },
    lives: Array<number>(LIFE_BOUNDS.length + 1).fill(0),
    lifeSum: 0,
  });
}

/** Counts the end of a scope that has lived for `ms` milliseconds. */
export function countEnd(totals: KindTotals, status: EndStatus, ms: number): void {
  totals.settled[status] += 1;
  const seconds = ms / 1_000;
  totals.lifeSum += seconds;
  let index = 0;
  while (index < LIFE_BOUNDS.length && seconds > (LIFE_BOUNDS[index] as number)) index++;
  (totals.lives[index] as number) += 1;
}
