import { createScope, spawn, ticker, type Scope } from "bough";

/** Lives about as long as the program, so its owner stops it explicitly: the first way of the article. */
export class App {
  /** Told when the watch has stopped. */
  onStopped: (() => void) | undefined = undefined;
  readonly #scope = createScope({ name: "app" });
  readonly #work: () => void;

  /**
   * Starts to watch at once.
   *
   * @param interval - Milliseconds from one call of `work` to the next.
   */
  constructor(work: () => void, interval: number) {
    this.#work = work;
    // The watch knows the app, and the app its scope: only `stop` ends it. That is what `Cache` does better.
    spawn(this.#scope, (scope) => this.#watch(scope, interval), { name: "watch" });
  }

  /** Resolves when the watch has stopped. Calling it again does no more. */
  stop(): Promise<void> {
    return this.#scope.close();
  }

  async #watch(scope: Scope, interval: number): Promise<void> {
    scope.defer(() => this.onStopped?.());
    for await (const _ of ticker(scope, interval)) this.#work();
  }
}
