import type { CancelledError } from "../errors/cancelled.js";
import { closedError } from "./closed-error.js";
import { addHook, Hook, removeHook } from "./cancel-hooks.js";
import type { ScopeNode } from "./node.js";
import { withResolvers } from "./observer.js";
import { markHandled } from "./throttled-results.js";

/**
 * A wait in a scope. `sleep`, `receive`, `acquire`, `select` and all others are subclasses. Exactly one of these ends
 * the wait:
 *
 * - `succeed` or `fail`: the awaited event has happened, or can't happen any more;
 * - the scope is cancelled: the promise rejects with the reason;
 * - the scope ends: the promise rejects with a `ScopeClosedError`.
 *
 * In the last two cases `withdraw` removes the wait from its queue or clears its timer. The rejection is marked as
 * handled, since the receivers of the scope's outcome get the same error (rule 11).
 *
 * `bough/inspect` describes a wait by its fields: `operation`, `due`, `queue`, `held` (`inspect/waits.ts`).
 *
 * The hook, the promise and the fields of the subclass are one object, since a program may have a hundred thousand
 * waits.
 */
export abstract class ScopedWait<T> extends Hook {
  /** The name of the public function, for error messages. */
  abstract readonly operation: string;
  /** Read once, by the function that returns it. `undefined` once the runtime handles its rejection. */
  declare promise: Promise<T>;
  declare protected readonly node: ScopeNode | undefined;
  readonly #resolve: (value: T) => void;
  readonly #reject: (error: unknown) => void;

  /** @param node - Neither cancelled nor closed (see `rejectUnlessLive`); `undefined` for a wait that no scope ends. */
  constructor(node: ScopeNode | undefined) {
    super();
    const { promise, resolve, reject } = withResolvers<T>();
    this.node = node;
    this.promise = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    if (node !== undefined) addHook(node, this);
  }

  /** Leaves its queue, or clears its timer. */
  protected abstract withdraw(): void;

  /** Ends the wait with a value. The subclass has left its queue. */
  succeed(value: T): void {
    this.#unhook();
    this.#resolve(value);
  }

  /** Ends the wait with an error. The subclass has left its queue. */
  fail(error: unknown): void {
    this.#unhook();
    this.#reject(error);
  }

  follow(promise: Promise<unknown>): void {
    if (promise === this.promise) this.promise = undefined as never; // it is not read again
  }

  override run(reason: CancelledError): void {
    this.#end(reason);
  }

  override ended(): void {
    this.#end(closedError(this.operation, this.node as ScopeNode));
  }

  #unhook(): void {
    if (this.node !== undefined) removeHook(this.node, this);
  }

  #end(error: unknown): void {
    this.withdraw();
    if ((this.promise as unknown) !== undefined) markHandled(this.promise); // before the rejection, so that none is reported as unhandled
    this.#reject(error);
  }
}
