import { getHeapStatistics, queryObjects } from "node:v8";

/** The states of the workers, in the order in which they occur. */
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

/**
 * How many timers there are, as V8 counts them after a collection. Node lists only those that keep the process alive, which the
 * timers of objects that clean up after themselves do not.
 */
export function liveTimers(): number {
  const emitWarning = Object.getOwnPropertyDescriptor(process, "emitWarning") as PropertyDescriptor;
  process.emitWarning = () => undefined; // that this is experimental
  try {
    return queryObjects(Timeout, { format: "count" });
  } finally {
    Object.defineProperty(process, "emitWarning", emitWarning);
  }
}

const timer = setTimeout(() => undefined, 0);
const Timeout = timer.constructor;
clearTimeout(timer);
