import { defineJob } from "../../../src/remote/index.js";

/** The behaviour of one job and of its owner. It follows from the number of the job. */
export interface Plan {
  readonly ms: number;
  readonly fails: boolean;
  /** The owner cancels it after so many ms. */
  readonly cancelAfter: number | undefined;
  readonly timeout: number | undefined;
}

export interface Work {
  readonly n: number;
  readonly ms: number;
  readonly fails: boolean;
}

export const work = defineJob<Work, string>("chaos");

export function planOf(n: number): Plan {
  const random = (salt: number): number => {
    let x = (n * 2_654_435_761 + salt * 40_503) >>> 0;
    x = Math.imul(x ^ (x >>> 15), 2_246_822_519) >>> 0;
    x = Math.imul(x ^ (x >>> 13), 3_266_489_917) >>> 0;
    return ((x ^ (x >>> 16)) >>> 0) / 2 ** 32;
  };
  const kind = random(1);
  const ms = random(2) < 0.02 ? 8_000 : 5 + Math.floor(random(3) * 895);
  return {
    ms,
    fails: kind < 0.04,
    cancelAfter: kind >= 0.04 && kind < 0.12 ? Math.floor(random(4) * 600) : undefined,
    timeout: kind >= 0.12 && kind < 0.16 ? 50 + Math.floor(random(5) * 400) : undefined,
  };
}

/** A line of a process's log. `at` is on the machine's monotonic clock, in ms, which all processes share. */
export interface Line {
  readonly at: number;
  readonly process: string;
  readonly what:
    "spawn" | "settled" | "start" | "signal" | "end" | "kill" | "stop" | "continue" | "gap" | "exit";
  readonly n?: number;
  readonly attempt?: number;
  /** Of a gap: when it began. */
  readonly since?: number;
  readonly kind?: string;
  readonly outcome?: string;
}

/** A gap in which the event loop of a process did not turn is logged when it was longer than this, in ms. */
export const GAP = 25;

export function machineNow(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
