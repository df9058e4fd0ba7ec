import { requireCount } from "../../errors/validate.js";
import type { Scope } from "../../kernel/scope.js";
import { inScope } from "../../task/in-scope.js";
import { QueuedWait, WaitQueue } from "./wait-queue.js";

/** A number of permits that many may ask for. Made by {@link createSemaphore}. */
export interface Semaphore {
  /**
   * Waits for a permit. Those who wait are served in the order they came; nobody overtakes them.
   *
   * **Cancellation:** rejects with the reason as soon as `scope` is cancelled, at once if it already is. Then no
   * permit was taken.
   *
   * @returns The permit. Disposing it gives it back, once.
   * @throws {CancelledError} The reason of `scope` (as a rejection).
   * @throws {ScopeClosedError} If `scope` has ended, or ends while this waits (as a rejection).
   */
  acquire(scope: Scope): Promise<Disposable>;
}

/**
 * Makes a semaphore: at most `permits` hold one at a time, however many scopes they are spread over.
 *
 * **Cancellation:** waiting ends with the scope that waits. A permit that was given stays with its holder until it is
 * disposed: hand it to `scope.use`, or say `using` where the syntax is there.
 *
 * **Failure:** none of its own.
 *
 * @param permits - How many; a whole number from 1.
 * @throws {TypeError | RangeError} If `permits` is no such number.
 * @example At most two connections, whoever asks
 * ```ts
 * const connections = createSemaphore(2);
 * await withScope(async (scope) => {
 *   for (const id of [1, 2, 3]) {
 *     spawn(scope, async (own) => {
 *       own.use(await connections.acquire(own)); // given back when this task ends
 *       console.log("connected", id);
 *     });
 *   }
 * });
 * ```
 */
export function createSemaphore(permits: number): Semaphore {
  requireCount("createSemaphore", "permits", permits, 1);
  return new FairSemaphore(permits);
}

class FairSemaphore implements Semaphore {
  #free: number;
  readonly #queue = new WaitQueue<Acquisition>();

  constructor(permits: number) {
    this.#free = permits;
  }

  acquire(scope: Scope): Promise<Disposable> {
    return inScope("acquire", scope, (node) => {
      if (this.#free > 0) {
        this.#free -= 1; // nobody waits while a permit is free
        return Promise.resolve(new Permit(this.#release));
      }
      const acquisition = new Acquisition(node);
      this.#queue.push(acquisition);
      return acquisition.promise;
    });
  }

  readonly #release = (): void => {
    const next = this.#queue.shift();
    if (next === undefined) this.#free += 1;
    else next.succeed(new Permit(this.#release));
  };
}

class Acquisition extends QueuedWait<Disposable> {
  get operation(): string {
    return "acquire";
  }
}

class Permit implements Disposable {
  #release: (() => void) | undefined;

  constructor(release: () => void) {
    this.#release = release;
  }

  [Symbol.dispose](): void {
    const release = this.#release;
    this.#release = undefined;
    release?.();
  }
}
