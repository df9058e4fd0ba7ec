import { getHeapStatistics } from "node:v8";

/** What becomes of the workers, in the order in which it happens. */
export const phases = ["starting", "held", "dropped", "collected"] as const;
export type Phase = (typeof phases)[number];

/** One moment. */
export interface Sample {
  readonly phase: Phase;
  readonly alive: number;
  /** Bytes. */
  readonly heap: number;
}

/** Counts workers, their beats, and the memory they take. It knows none of them. */
export class Census {
  phase: Phase = "starting";
  started = 0;
  alive = 0;
  beats = 0;
  readonly samples: Sample[] = [];
  #begun: number | undefined;

  begin(): void {
    this.#begun = performance.now();
  }

  /** Milliseconds since the beginning. */
  get age(): number {
    return this.#begun === undefined ? 0 : performance.now() - this.#begun;
  }

  sample(): void {
    this.samples.push({ phase: this.phase, alive: this.alive, heap: heapUsed() });
  }
}

export function heapUsed(): number {
  return getHeapStatistics().used_heap_size;
}

/** What Node itself says of timers that are set. */
export function liveTimers(): number {
  return process.getActiveResourcesInfo().filter((type) => type === "Timeout").length;
}
