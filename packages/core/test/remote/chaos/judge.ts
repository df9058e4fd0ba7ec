import { planOf, type Line } from "./plan.js";

/** The result of a chaos run. */
export interface Verdict {
  readonly jobs: number;
  readonly ownersKilled: number;
  readonly workersKilled: number;
  readonly stops: number;
  readonly runs: number;
  /** Jobs that were started more than once. */
  readonly repeated: number;
  /** Jobs that ran beside themselves, and for how long at most, in ms. */
  readonly beside: number;
  readonly longestBeside: number;
  /** For how long of that the event loops of both processes turned, in ms, at most. */
  readonly longestBesideTurning: number;
  /** Jobs of owners that lived, without an outcome. */
  readonly lost: number;
  readonly wrong: readonly string[];
  /** Jobs of owners that were stopped for longer than their lease, or nearly so. */
  readonly leaseLost: number;
  /** Jobs that were cancelled because their owner was gone. */
  readonly orphans: number;
  /** From the kill of an owner to the signal in its jobs, in ms: the median and the longest. */
  readonly signalMedian: number;
  readonly signalLongest: number;
  /** How long a job ran after its dead owner's lease was over, in ms, at most; 0 if none did. */
  readonly afterLease: number;
  /** Jobs that were started after their dead owner's lease was over. */
  readonly startedAfterLease: number;
  readonly left: number;
}

interface Run {
  readonly process: string;
  readonly from: number;
  to: number;
}

/** Judges a run by the logs of all its processes. */
export function judge(lines: readonly Line[], lease: number, left: number): Verdict {
  const sorted = lines.toSorted((a, b) => a.at - b.at);
  const killedAt = new Map<string, number>();
  const stopped = new Set<string>();
  for (const { what, process, at } of sorted) {
    if (what === "kill") killedAt.set(process, at);
    if (what === "stop") stopped.add(process);
  }
  const ownerOf = new Map<number, string>();
  const outcomes = new Map<number, string>();
  const runs = new Map<number, Run[]>();
  const delays: number[] = [];
  let orphans = 0;
  for (const { what, process, at, n = -1, kind, outcome = "" } of sorted) {
    if (what === "spawn") ownerOf.set(n, process);
    if (what === "settled") outcomes.set(n, outcome);
    const list = runs.get(n) ?? [];
    if (what === "start")
      runs.set(n, [...list, { process, from: at, to: killedAt.get(process) ?? Infinity }]);
    const run = list.findLast((each) => each.process === process);
    if (what === "end" && run !== undefined) run.to = at;
    const death = killedAt.get(ownerOf.get(n) ?? "");
    if (what === "signal" && kind === "disconnected" && death !== undefined && at > death) {
      orphans += 1;
      if (!stopped.has(process)) delays.push(at - death);
    }
  }
  delays.sort((a, b) => a - b);
  const pauses = pausesOf(sorted);
  const overlaps = [...runs.values()].map((list) => overlapOf(list, pauses)).filter((ms) => ms > 0);
  const gaps = gapsOf(sorted);
  const turning = [...runs.values()].map((list) => overlapOf(list, gaps));
  const all = [...runs.values()].flat();
  const late = [...runs].map(([n, list]) =>
    lateness(list, pauses, killedAt.get(ownerOf.get(n) ?? ""), lease),
  );
  const lived = [...ownerOf].filter(([, owner]) => !killedAt.has(owner)).map(([n]) => n);
  const isLeaseLost = (n: number): boolean =>
    outcomes.get(n) === "lost lease" && stopped.has(ownerOf.get(n) ?? "");
  const kills = sorted.filter(({ what }) => what === "kill");
  return {
    jobs: ownerOf.size,
    ownersKilled: kills.filter(({ process }) => process.startsWith("owner")).length,
    workersKilled: kills.filter(({ process }) => process.startsWith("worker")).length,
    stops: sorted.filter(({ what }) => what === "stop").length,
    runs: all.length,
    repeated: [...runs.values()].filter((list) => list.length > 1).length,
    beside: overlaps.length,
    longestBeside: Math.max(0, ...overlaps),
    longestBesideTurning: Math.max(0, ...turning),
    lost: lived.filter((n) => !outcomes.has(n)).length,
    wrong: lived
      .filter((n) => outcomes.has(n) && !isLeaseLost(n) && !isRight(n, outcomes.get(n) as string))
      .map((n) => `${n}: ${outcomes.get(n)}`),
    leaseLost: lived.filter(isLeaseLost).length,
    orphans,
    signalMedian: delays[Math.floor(delays.length / 2)] ?? 0,
    signalLongest: delays.at(-1) ?? 0,
    afterLease: Math.max(0, ...late.map(({ ran }) => ran)),
    startedAfterLease: late.filter(({ started }) => started).length,
    left,
  };
}

function isRight(n: number, outcome: string): boolean {
  const { fails, cancelAfter, timeout } = planOf(n);
  if (fails) return outcome === "failed RangeError";
  if (outcome === `done ${n}`) return true; // finished work is kept
  if (timeout !== undefined) return outcome === "deadline";
  return cancelAfter !== undefined && outcome === "explicit";
}

type Interval = readonly [from: number, to: number];
type Pauses = ReadonlyMap<string, readonly Interval[]>;

/** When each process was stopped (SIGSTOP): nothing runs in it then. */
function pausesOf(sorted: readonly Line[]): Pauses {
  const pauses = new Map<string, Interval[]>();
  const since = new Map<string, number>();
  for (const { what, process, at } of sorted) {
    if (what === "stop") since.set(process, at);
    if (what !== "continue") continue;
    pauses.set(process, [...(pauses.get(process) ?? []), [since.get(process) ?? at, at]]);
  }
  return pauses;
}

/** When the event loop of each process did not turn: it was stopped, or had no processor. */
function gapsOf(sorted: readonly Line[]): Pauses {
  const gaps = new Map<string, Interval[]>();
  for (const { what, process, at, since = at } of sorted)
    if (what === "gap") gaps.set(process, [...(gaps.get(process) ?? []), [since, at]]);
  return gaps;
}

/** The parts of a run in which its process was not stopped. */
function awake({ process, from, to }: Run, pauses: Pauses): Interval[] {
  const parts: Interval[] = [];
  let since = from;
  for (const [stop, go] of pauses.get(process) ?? []) {
    if (go <= since) continue;
    if (stop >= to) break;
    if (stop > since) parts.push([since, stop]);
    since = go;
  }
  return since < to ? [...parts, [since, to]] : parts;
}

/** For how long two runs of one job were alive at the same time. */
function overlapOf(list: readonly Run[], pauses: Pauses): number {
  let longest = 0;
  list.forEach((run, index) => {
    for (const other of list.slice(index + 1)) {
      let sum = 0;
      for (const [a, b] of awake(run, pauses))
        for (const [c, d] of awake(other, pauses)) sum += Math.max(0, Math.min(b, d) - Math.max(a, c));
      longest = Math.max(longest, sum);
    }
  });
  return longest;
}

function lateness(
  list: readonly Run[],
  pauses: Pauses,
  death: number | undefined,
  lease: number,
): { ran: number; started: boolean } {
  if (death === undefined) return { ran: 0, started: false };
  const over = death + lease;
  const late = list.map((run) =>
    awake(run, pauses).reduce(
      (sum, [from, to]) => sum + (to === Infinity ? 0 : Math.max(0, to - Math.max(from, over))),
      0,
    ),
  );
  return { ran: Math.max(0, ...late), started: list.some(({ from }) => from > over) };
}

export function formatVerdict(engine: string, lease: number, seconds: number, verdict: Verdict): string {
  const ms = (value: number): string => `${value.toFixed(1)} ms`;
  const rows: [string, string][] = [
    ["engine, lease", `${engine}, ${lease} ms`],
    ["jobs, time", `${verdict.jobs}, ${seconds.toFixed(0)} s`],
    [
      "kills of owners / of workers / stops",
      `${verdict.ownersKilled} / ${verdict.workersKilled} / ${verdict.stops}`,
    ],
    ["runs, jobs that ran more than once", `${verdict.runs}, ${verdict.repeated}`],
    ["jobs that ran beside themselves", `${verdict.beside}, longest ${ms(verdict.longestBeside)}`],
    ["  of that with both event loops turning", `longest ${ms(verdict.longestBesideTurning)}`],
    ["outcomes lost", String(verdict.lost)],
    ["outcomes wrong", String(verdict.wrong.length)],
    ["owners stopped beyond their lease: outcomes", String(verdict.leaseLost)],
    ["orphans cancelled", String(verdict.orphans)],
    [
      "kill of the owner to the signal",
      `median ${ms(verdict.signalMedian)}, longest ${ms(verdict.signalLongest)}`,
    ],
    [
      "running after the lease's end",
      verdict.afterLease === 0 ? "none" : `longest ${ms(verdict.afterLease)}`,
    ],
    ["started after the lease's end", String(verdict.startedAfterLease)],
    ["left in the engine", String(verdict.left)],
  ];
  return rows.map(([name, value]) => `${name.padEnd(44)} ${value}`).join("\n");
}
