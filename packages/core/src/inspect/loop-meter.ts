import type { LoopDelay } from "./look.js";

// This file also runs in the inspected process: see agent.ts.

/** The histogram of `node:perf_hooks`. */
interface DelayHistogram {
  readonly count: number;
  readonly max: number;
  percentile(share: number): number;
  enable(): boolean;
  disable(): boolean;
  reset(): void;
}

/** `monitorEventLoopDelay` of `node:perf_hooks`. */
export type MonitorDelay = (options: { resolution: number }) => DelayHistogram;

/** How often the delay of the event loop is measured, in ms. */
const RESOLUTION = 10;

/** Measures how late the event loop is, from one reading to the next. */
export class LoopMeter {
  readonly #monitor: MonitorDelay;
  #delay: DelayHistogram | undefined;

  constructor(monitor: MonitorDelay) {
    this.#monitor = monitor;
  }

  /** The delay since the last reading. The first reading begins to measure. */
  read(): LoopDelay | undefined {
    const delay = this.#delay;
    if (delay === undefined) {
      this.#delay = this.#monitor({ resolution: RESOLUTION });
      this.#delay.enable();
      return undefined;
    }
    // The histogram contains the time between two runs of a timer, which includes the resolution.
    const late = (ns: number): number => Math.max(0, Math.round((ns / 1e6 - RESOLUTION) * 10) / 10);
    const measured = {
      p50: late(delay.percentile(50)),
      p99: late(delay.percentile(99)),
      max: late(delay.max),
    };
    const isMeasured = delay.count > 0;
    delay.reset();
    return isMeasured ? measured : undefined;
  }

  /** Stops the measurement until the next reading. */
  stop(): void {
    this.#delay?.disable();
    this.#delay = undefined;
  }
}
