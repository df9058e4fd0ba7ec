import type { EndStatus } from "./records.js";

/** The upper bounds of the buckets of lifetimes, in seconds. Longer lifetimes have an additional bucket. */
export const LIFE_BOUNDS: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300,
];

/** The totals of the scopes of one kind since the recording began, including overwritten events. */
export interface KindTotals {
  /** The number of started scopes. */
  started: number;
  /** The number of settled scopes, by status. */
  readonly settled: { [K in EndStatus]: number };
  /** The number of settled scopes in each bucket of lifetimes. The last bucket has no bound. */
  readonly lives: number[];
  /** The sum of the lifetimes in seconds. */
  lifeSum: number;
}

/** The totals since the recording began. They only grow. */
export interface Totals {
  /** By kind: `task`, `request`, `withScope` … */
  readonly kinds: { [kind: string]: KindTotals };
  /** The number of cancellations, by the kind of the reason. */
  readonly cancelled: { [kind: string]: number };
  /** The number of grace periods that ended with stuck tasks. */
  stuck: number;
  /** The number of scopes whose owner handle was collected. */
  orphans: number;
}

export function emptyTotals(): Totals {
  return { kinds: {}, cancelled: {}, stuck: 0, orphans: 0 };
}

/** The totals of a kind, added if missing. */
export function totalsOf({ kinds }: Totals, kind: string): KindTotals {
  return (kinds[kind] ??= {
    started: 0,
    settled: { succeeded: 0, failed: 0, cancelled: 0 },
    lives: Array<number>(LIFE_BOUNDS.length + 1).fill(0),
    lifeSum: 0,
  });
}

/** Counts the end of a scope after `ms` milliseconds. */
export function countEnd(totals: KindTotals, status: EndStatus, ms: number): void {
  totals.settled[status] += 1;
  const seconds = ms / 1_000;
  totals.lifeSum += seconds;
  let index = 0;
  while (index < LIFE_BOUNDS.length && seconds > (LIFE_BOUNDS[index] as number)) index++;
  (totals.lives[index] as number) += 1;
}
