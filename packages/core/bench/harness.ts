import { setTimeout as delay } from "node:timers/promises";

/** A measured quantity in one unit: a column of a table. */
export interface Metric {
  readonly name: string;
  readonly unit: "ns" | "bytes" | "count";
}

/** One contestant: a row of a table. */
export interface Case {
  readonly label: string;
  /** Runs the job once; one number per metric of its group. */
  readonly run: () => Promise<readonly number[]>;
  /** Takes part in so many rounds only, spread evenly: for one that is slower than the others by far. */
  readonly rounds?: number;
}

export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export interface Row {
  readonly label: string;
  readonly rounds: number;
  /** One per metric. */
  readonly values: readonly Summary[];
}

/** A target of bough, as a limit on one number. */
export interface Target {
  readonly what: string;
  readonly limit: number;
  readonly unit: "x" | "bytes" | "ns";
  readonly better: "lower" | "higher";
  readonly measured: number;
}

export interface Table {
  readonly title: string;
  readonly metrics: readonly Metric[];
  /** The label of the row that the ratios are relative to. */
  readonly base: string;
  readonly rows: readonly Row[];
  readonly targets: readonly Target[];
  readonly notes: readonly string[];
}

/** A file of the benchmark: it measures one thing in all ways it can be done. */
export interface Group {
  readonly name: string;
  readonly run: (progress: Progress) => Promise<readonly Table[]>;
}

export type Progress = (text: string) => void;

/** Runs the cases in turns, A B C A B C …, so that whatever disturbs the machine disturbs them all alike. */
export async function interleave(
  cases: readonly Case[],
  rounds: number,
  warmUp: number,
  progress: Progress,
): Promise<readonly Row[]> {
  const samples = new Map<Case, (readonly number[])[]>(cases.map((one) => [one, []]));
  for (let round = -warmUp; round < rounds; round++) {
    for (const one of cases) {
      if (!takesPart(one, round, rounds)) continue;
      const at = round < 0 ? "warming up" : `round ${round + 1} of ${rounds}`;
      progress(`${at}: ${one.label}`);
      const sample = await one.run();
      if (round >= 0) samples.get(one)?.push(sample);
    }
    await delay(0); // timers, finalizers and progress get their turn between the rounds, not in one
  }
  return [...samples].map(([{ label }, taken]) => ({
    label,
    rounds: taken.length,
    values: (taken[0] ?? []).map((_, metric) => summarise(taken.map((sample) => sample[metric] ?? NaN))),
  }));
}

function takesPart(one: Case, round: number, rounds: number): boolean {
  if (one.rounds === undefined || one.rounds >= rounds) return true;
  if (round < 0) return round === -1;
  return round % Math.ceil(rounds / one.rounds) === 0;
}

function summarise(values: readonly number[]): Summary {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const odd = sorted.length % 2 === 1;
  const median = odd ? sorted[middle] : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
  return { median: median ?? NaN, min: sorted[0] ?? NaN, max: sorted.at(-1) ?? NaN };
}

/** The median of one metric of the row of that label. */
export function medianOf(rows: readonly Row[], label: string, metric = 0): number {
  const row = rows.find((candidate) => candidate.label === label);
  if (row === undefined) throw new Error(`No row ${JSON.stringify(label)} in this table`);
  return row.values[metric]?.median ?? NaN;
}

/** How many times the median of `base` that of `label` is. */
export function ratio(rows: readonly Row[], label: string, base: string, metric = 0): number {
  return medianOf(rows, label, metric) / medianOf(rows, base, metric);
}

export function hasRow(rows: readonly Row[], label: string): boolean {
  return rows.some((row) => row.label === label);
}

/** A case that times its whole job, in ns per unit of work. */
export function timed(label: string, count: number, job: () => unknown, rounds?: number): Case {
  const run = async (): Promise<readonly number[]> => {
    const since = process.hrtime.bigint();
    await job();
    return [nsSince(since) / count];
  };
  return rounds === undefined ? { label, run } : { label, run, rounds };
}

export function nsSince(since: bigint): number {
  return Number(process.hrtime.bigint() - since);
}

/** Collects everything that can be collected. Twice: what a first pass finalizes, a second one frees. */
export function collect(): void {
  const { gc } = globalThis;
  if (gc === undefined) throw new Error("The benchmark needs node --expose-gc: start it with `pnpm bench`");
  gc();
  gc();
}

/** Bytes in use, after a collection. */
export function liveBytes(): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
