import type { ScopeNode } from "../kernel/node.js";
import { isReturnedCancellation } from "../kernel/is-cancellation.js";

/**
 * Keeps a cancellation that nothing awaits from ending a process during its shutdown. Event handlers and cron callbacks are
 * often async functions, whose promises are not awaited. Before the cancellation, and for all other rejections, Node
 * decides, as without bough.
 */
export class UnawaitedCancellations {
  readonly #node: ScopeNode;

  /** @param node - Cancelled. */
  constructor(node: ScopeNode) {
    this.#node = node;
    if (!isModeChosen()) process.on("unhandledRejection", this.#onUnhandled);
  }

  end(): void {
    process.off("unhandledRejection", this.#onUnhandled);
  }

  readonly #onUnhandled = (error: unknown): void => {
    if (isReturnedCancellation(this.#node, error)) return;
    // The other listeners decide. Without one, it is an uncaught exception, by default.
    if (process.listenerCount("unhandledRejection") === 1) throw error;
  };
}

/** Whether the program was started with `--unhandled-rejections`. Then that decides, not Node's default. */
function isModeChosen(): boolean {
  return [...process.execArgv, process.env["NODE_OPTIONS"] ?? ""].some((option) =>
    option.includes("--unhandled-rejections"),
  );
}
