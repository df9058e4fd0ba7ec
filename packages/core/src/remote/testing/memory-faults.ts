import { pause } from "../time.js";

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

/** The faults of a memory engine, by the names of the processes that have them; `*` means all processes. */
export interface Faults {
  readonly cuts: Map<string, CutMode>;
  readonly hints: Map<string, HintMode>;
  readonly reconnected: Set<() => void>;
  latency: number;
  isReadOnly: boolean;
}

/** The fault of one kind that a process has now. */
export function faultOf<T>(faults: ReadonlyMap<string, T>, process: string): T | undefined {
  return faults.get(process) ?? faults.get("*");
}

/** One round trip to the memory engine: a microtask, unless the engine has a latency. */
export function roundTrip(latency: number): Promise<void> {
  return latency === 0 ? Promise.resolve() : pause(latency);
}
