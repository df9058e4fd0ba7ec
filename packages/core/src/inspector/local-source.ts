import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Look, NodeInfo } from "../inspect/index.js";
import { LoopMeter } from "../inspect/loop-meter.js";
import { nodeDescriber } from "../inspect/describe-node.js";
import { TreeCursor } from "../inspect/tree-cursor.js";
import { elapsed } from "../kernel/monotonic-clock.js";
import type { ScopeNode } from "../kernel/node.js";
import { calendarNow, realNow, turn } from "../kernel/platform.js";
import { backgroundNode } from "../kernel/scope-view.js";
import type { Scope } from "../kernel/scope.js";
import { cursors } from "../kernel/tree.js";
import { nodeOf } from "../task/node-of.js";
import { Activity } from "./activity.js";
import type { LookSummary, PageSource } from "./page-source.js";

/** How long one slice of a look may block the process, in ms, including `visit`. */
const SLICE = 1.5;

/** The tree of this process. */
export class LocalSource implements PageSource {
  readonly activity: Activity;
  /** Weak, so that the page keeps no scope alive. */
  readonly #scope: WeakRef<Scope> | undefined;
  readonly #meter = new LoopMeter(monitorEventLoopDelay);

  /** @param scope - The root of the tree. Default: the whole process. */
  constructor(scope: Scope | undefined) {
    this.#scope = scope === undefined ? undefined : new WeakRef(scope);
    this.activity = new Activity((node) => this.#isBelow(node));
  }

  async look(): Promise<Look> {
    const nodes: NodeInfo[] = [];
    const head = await this.read((part) => nodes.push(...part));
    return { ...head, nodes };
  }

  async read(visit: (nodes: readonly NodeInfo[]) => void): Promise<LookSummary> {
    const loopDelay = this.#meter.read();
    const at = calendarNow();
    let spent = 0;
    // `visit` takes longer than the description. The time for describing is adjusted after each slice.
    let describing = SLICE / 4;
    const root = this.#root();
    if (root !== undefined) {
      const position = new TreeCursor({ root, cursors, elapsed }, realNow, nodeDescriber());
      try {
        while (!position.ended) {
          const begun = realNow();
          visit(position.take(describing));
          const took = realNow() - begun;
          spent += took;
          describing = Math.min(SLICE, Math.max(SLICE / 20, describing * (SLICE / took)));
          if (!position.ended) await turn();
        }
      } finally {
        position.close();
      }
    }
    return { at, spent, ...(loopDelay === undefined ? {} : { loopDelay }) };
  }

  onFirstPage(): void {
    this.activity.start();
    this.#meter.read();
  }

  /** Stops all measurements. */
  onLastPageClosed(): void {
    this.activity.stop();
    this.#meter.stop();
  }

  #root(): ScopeNode | undefined {
    if (this.#scope === undefined) return backgroundNode;
    const scope = this.#scope.deref();
    return scope === undefined ? undefined : nodeOf("inspector", "scope", scope);
  }

  #isBelow(node: ScopeNode): boolean {
    if (this.#scope === undefined) return true;
    const root = this.#root();
    for (let at: ScopeNode | undefined = node; at !== undefined; at = at.parent) if (at === root) return true;
    return false;
  }
}
