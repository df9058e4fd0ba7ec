import { after } from "../time.js";

/** How the calls of a process that is cut off end. */
export type CutMode =
  /** They reject. */
  | "reject"
  /** They stay pending, and have no effect. */
  | "hang"
  /** They have their effect, and stay pending. */
  | "no answer"
  /** They wait until the process is connected again, and have their effect then. */
  | "queue";

/** How hints are delivered. */
export type HintMode = "deliver" | "drop" | "twice";

/** The faults of a process. */
export interface Faults {
  readonly cuts: Map<string, CutMode>;
  readonly hints: Map<string, HintMode>;
  readonly reconnected: Set<() => void>;
  latency: number;
  isReadOnly: boolean;
}

/** The fault that concerns a process now. */
export function faultOf<T>(faults: ReadonlyMap<string, T>, process: string): T | undefined {
  return faults.get(process) ?? faults.get("*");
}

/** One round trip to the memory engine: a turn of the event loop. */
export function roundTrip(latency: number): Promise<void> {
  if (latency === 0) return Promise.resolve();
  return new Promise((resolve) => void after(latency, resolve));
}
