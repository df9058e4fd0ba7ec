import { monitorEventLoopDelay, type IntervalHistogram } from "node:perf_hooks";
import { walk, type Look, type LoopDelay, type NodeInfo, type TreeSource } from "../inspect/index.js";
import { calendarNow } from "../kernel/platform.js";
import type { Scope } from "../kernel/scope.js";

/** How often the delay of the event loop is measured, in ms. */
const RESOLUTION = 10;

/** The tree of this process. */
export class LocalSource implements TreeSource {
  /** Weak: to be looked at keeps no scope alive. */
  readonly #scope: WeakRef<Scope> | undefined;
  #delay: IntervalHistogram | undefined;

  /** @param scope - Default: the whole process. */
  constructor(scope: Scope | undefined) {
    this.#scope = scope === undefined ? undefined : new WeakRef(scope);
  }

  async look(): Promise<Look> {
    const loopDelay = this.#measure();
    const nodes: NodeInfo[] = [];
    const at = calendarNow();
    const scope = this.#scope?.deref();
    if (this.#scope === undefined || scope !== undefined)
      for await (const slice of walk(scope)) for (const node of slice) nodes.push(node);
    return { at, nodes, ...(loopDelay === undefined ? {} : { loopDelay }) };
  }

  /** Measures the event loop no longer, until the next look. */
  rest(): void {
    this.#delay?.disable();
    this.#delay = undefined;
  }

  #measure(): LoopDelay | undefined {
    const delay = this.#delay;
    if (delay === undefined) {
      this.#delay = monitorEventLoopDelay({ resolution: RESOLUTION });
      this.#delay.enable();
      return undefined;
    }
    // What is measured is the time between two turns of a timer.
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
}
