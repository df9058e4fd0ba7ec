import { refuseOptions, requireCount } from "../../errors/validate.js";
import type { ScopeNode } from "../../kernel/node.js";
import type { Scope } from "../../kernel/scope.js";
import { inScope } from "../../task/in-scope.js";
import { QueuedWait, WaitQueue } from "./wait-queue.js";

/** A limited number of permits. Made by {@link createSemaphore}. */
export interface Semaphore {
  /**
   * Waits for a permit. Permits are given first come, first served.
   *
   * **Cancellation:** rejects with the reason as soon as `scope` is cancelled, immediately if it already is. No permit was
   * acquired then.
   *
   * @returns The permit. Disposing of it releases it; disposing of it again has no effect.
   * @throws {CancelledError} The reason of `scope` (as a rejection).
   * @throws {ScopeClosedError} If `scope` has ended, or ends while this waits (as a rejection).
   */
  acquire(scope: Scope): Promise<Disposable>;
}

/**
 * Creates a semaphore, which limits how many tasks hold a permit at a time, across any number of scopes.
 *
 * **Cancellation:** cancelling a scope ends its waiting for a permit. A permit that was acquired is released only when it
 * is disposed of: pass it to `scope.use`, or declare it with `using`.
 *
 * **Failure:** a semaphore does not fail.
 *
 * @param permits - How many permits there are; a whole number from 1.
 * @returns The semaphore.
 * @throws {TypeError | RangeError} If `permits` is not such a number.
 * @example At most two connections in the whole program
 * ```ts
 * const connections = createSemaphore(2);
 * await withScope(async (scope) => {
 *   for (const id of [1, 2, 3]) {
 *     spawn(scope, async (own) => {
 *       own.use(await connections.acquire(own)); // released when this task ends
 *       console.log("connected", id);
 *     });
 *   }
 * });
 * ```
 */
export function createSemaphore(permits: number): Semaphore;
export function createSemaphore(permits: number, extra?: unknown): Semaphore {
  refuseOptions("createSemaphore", extra);
  requireCount("createSemaphore", "permits", permits, 1);
  return new FairSemaphore(permits);
}

/** What a semaphore does for the daemons of scopes that drain; see `permit-guard.ts`. */
export interface PermitGuard {
  /** Whether `node` may not acquire a permit now. */
  denies(node: ScopeNode): boolean;
  /** `node` has acquired a permit. */
  acquired(node: ScopeNode): void;
  /** Lets a wait wait without a permit. */
  holdBack(queue: WaitQueue<QueuedWait<Disposable>>, wait: QueuedWait<Disposable>): void;
  /** Removes and returns the wait that gets the next permit. */
  next(queue: WaitQueue<QueuedWait<Disposable>>): QueuedWait<Disposable> | undefined;
}

/** Has a guard once this process has a scope that may drain. */
export const semaphoreGuard: { current: PermitGuard | undefined } = { current: undefined };

class FairSemaphore implements Semaphore {
  #free: number;
  readonly #queue = new WaitQueue<QueuedWait<Disposable>>();

  /** The permits that are held: reports name the holders. */
  readonly #held: HeldPermits = { first: undefined };

  constructor(permits: number) {
    this.#free = permits;
  }

  acquire(scope: Scope, extra?: unknown): Promise<Disposable> {
    return inScope("acquire", scope, extra, (node) => {
      const guard = semaphoreGuard.current;
      const isDenied = guard?.denies(node) === true;
      if (this.#free > 0 && !isDenied) {
        this.#free -= 1; // the queue is empty while a permit is free
        guard?.acquired(node);
        return Promise.resolve(new Permit(this.#release, this.#held, node.id));
      }
      const acquisition = new Acquisition(node, this.#held);
      if (isDenied) guard?.holdBack(this.#queue, acquisition);
      else this.#queue.push(acquisition);
      return acquisition.promise;
    });
  }

  readonly #release = (): void => {
    const guard = semaphoreGuard.current;
    const next = guard === undefined ? this.#queue.shift() : guard.next(this.#queue);
    if (next === undefined) this.#free += 1;
    else next.succeed(new Permit(this.#release, this.#held, (next.owner as ScopeNode).id));
  };
}

class Acquisition extends QueuedWait<Disposable> {
  readonly held: HeldPermits;

  constructor(node: ScopeNode, held: HeldPermits) {
    super(node);
    this.held = held;
  }

  get operation(): string {
    return "acquire";
  }
}

/** A list whose entries are the permits themselves, newest first. */
interface HeldPermits {
  first: Permit | undefined;
}

class Permit implements Disposable {
  /** The `id` of the scope that acquired it: a number, so that a permit keeps no scope alive. */
  declare readonly holder: number;
  declare newer: Permit | undefined;
  declare older: Permit | undefined;
  readonly #held: HeldPermits;
  #release: (() => void) | undefined;

  constructor(release: () => void, held: HeldPermits, holder: number) {
    this.#release = release;
    this.#held = held;
    this.holder = holder;
    this.newer = undefined;
    this.older = held.first;
    if (held.first !== undefined) held.first.newer = this;
    held.first = this;
  }

  [Symbol.dispose](): void {
    const release = this.#release;
    if (release === undefined) return;
    this.#release = undefined;
    const { newer, older } = this;
    if (newer === undefined) this.#held.first = older;
    else newer.older = older;
    if (older !== undefined) older.newer = newer;
    release();
  }
}
