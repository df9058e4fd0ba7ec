import type { Scope } from "../index.js";
import { realNow } from "../kernel/platform.js";

/** A terminal sends a signal to a wrapper of the command, too, which passes it on: within so many ms it is the same one. */
const SAME = 250;

/**
 * Ctrl-C for a command that has something to finish then: from {@link begin} on it resolves a promise, and the command ends
 * as if it had come to its end by itself. Before, and the second time, it cancels the scope.
 */
export class Interrupt {
  #finish: (() => void) | undefined;
  #at = -Infinity;

  constructor(scope: Scope) {
    const listener = (): void => {
      if (realNow() - this.#at < SAME) return;
      this.#at = realNow();
      if (this.#finish === undefined) scope.cancel("SIGINT");
      else this.#finish();
      this.#finish = undefined;
    };
    process.on("SIGINT", listener);
    scope.defer(() => process.removeListener("SIGINT", listener));
  }

  begin(): Promise<true> {
    return new Promise((resolve) => {
      this.#finish = () => resolve(true);
    });
  }
}
