import type { Scope } from "../index.js";
import { realNow } from "../kernel/platform.js";

/**
 * A wrapper of the command, such as npx, forwards the signal that the terminal has sent to both. Signals within this
 * time, in ms, count as one.
 */
const SAME_SIGNAL_WINDOW = 250;

/**
 * Handles Ctrl-C for a command that must finish its work first. After {@link arm}, the first Ctrl-C resolves a promise,
 * and the command finishes. Before `arm`, and from the second time on, Ctrl-C cancels the scope.
 */
export class Interrupt {
  #finish: (() => void) | undefined;
  #at = -Infinity;

  constructor(scope: Scope) {
    const listener = (): void => {
      if (realNow() - this.#at < SAME_SIGNAL_WINDOW) return;
      this.#at = realNow();
      if (this.#finish === undefined) scope.cancel("SIGINT");
      else this.#finish();
      this.#finish = undefined;
    };
    process.on("SIGINT", listener);
    scope.defer(() => process.removeListener("SIGINT", listener));
  }

  arm(): Promise<true> {
    return new Promise((resolve) => {
      this.#finish = () => resolve(true);
    });
  }
}
