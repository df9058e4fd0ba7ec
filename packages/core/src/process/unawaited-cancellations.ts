import type { ScopeNode } from "../kernel/node.js";
import { isReturnedCancellation } from "../kernel/is-cancellation.js";

/**
 * Keeps a process that is shutting down from being ended by a cancellation that nobody awaits: an event handler or a cron
 * callback is often an async function of the user's, and its promise is nobody's. Before the cancellation, and for
 * everything else, Node decides, as without us.
 */
export class FloatingCancellations {
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

/** Whether the program was started with `--unhandled-rejections`: then that says what happens, and no default of Node's. */
function isModeChosen(): boolean {
  return [...process.execArgv, process.env["NODE_OPTIONS"] ?? ""].some((option) =>
    option.includes("--unhandled-rejections"),
  );
}
