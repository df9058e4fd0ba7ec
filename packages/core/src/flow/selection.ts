import type { CancelledError } from "../errors/cancelled.js";
import { addHook, Hook, removeHook } from "../kernel/hook.js";
import type { ScopeNode } from "../kernel/node.js";
import { refusal } from "./refusal.js";

/** What a `select` waits for in one place. */
export interface Alternative {
  /** Calls code of the user's, which may send, close and cancel: before anything is looked at. */
  prepare?(): void;
  /** Does it if it can be done now; says whether the selection is over. */
  poll(): boolean;
  /** Waits for its turn. */
  enter(): void;
  leave(): void;
}

/** A pending `select`: whatever ends it takes all its alternatives out of their queues in the same step. */
export class Selection extends Hook {
  readonly #node: ScopeNode;
  readonly #resolve: (selected: { key: string; value: unknown }) => void;
  readonly #reject: (error: unknown) => void;
  #entered: readonly Alternative[] = [];

  constructor(
    node: ScopeNode,
    resolve: (selected: { key: string; value: unknown }) => void,
    reject: (error: unknown) => void,
  ) {
    super();
    this.#node = node;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  begin(alternatives: readonly Alternative[]): void {
    for (const alternative of alternatives) alternative.prepare?.();
    const refused = refusal("select", this.#node);
    if (refused !== undefined) return this.#reject(refused);
    for (const alternative of alternatives) if (alternative.poll()) return;
    this.#entered = alternatives;
    addHook(this.#node, this);
    for (const alternative of alternatives) alternative.enter();
  }

  take(key: string, value: unknown): void {
    this.#end();
    this.#resolve({ key, value });
  }

  fail(error: unknown): void {
    this.#end();
    this.#reject(error);
  }

  run(reason: CancelledError): void {
    this.fail(reason);
  }

  override ended(): void {
    this.fail(refusal("select", this.#node));
  }

  #end(): void {
    if (this.#entered.length > 0) removeHook(this.#node, this);
    for (const alternative of this.#entered) alternative.leave();
  }
}
