import type { ScopeNode } from "../kernel/node.js";
import { isCancellationOf } from "../kernel/is-cancellation.js";

/**
 * Keeps a cancellation that is not awaited from ending the process during its shutdown. Event handlers and cron
 * callbacks are often async functions whose promises are not awaited. All other rejections, and rejections before the
 * cancellation, are left to Node.
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
    if (isCancellationOf(this.#node, error)) return;
    // Left to the other listeners. Without one, it is an uncaught exception by default.
    if (process.listenerCount("unhandledRejection") === 1) throw error;
  };
}

/** Whether the program was started with `--unhandled-rejections`, which then decides. */
function isModeChosen(): boolean {
  return [...process.execArgv, process.env["NODE_OPTIONS"] ?? ""].some((option) =>
    option.includes("--unhandled-rejections"),
  );
}
