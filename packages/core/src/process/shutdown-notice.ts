import { createReason } from "../errors/cancelled.js";
import { isThenable } from "../errors/user-values.js";
import { requireFunction } from "../errors/validate.js";
import { defer } from "../kernel/defers.js";
import { guardChannels } from "../flow/sync/channel-guard.js";
import { guardSemaphores } from "../flow/sync/permit-guard.js";
import { beginDraining, markDrainable } from "../kernel/draining-rules.js";
import { isClosed, isLive } from "../kernel/state.js";
import type { ScopeNode } from "../kernel/node.js";
import { report } from "../kernel/outcome.js";
import type { Scope } from "../kernel/scope.js";
import { startTask } from "../task/spawn.js";

/** Announces the shutdown of a scope, so that its tasks take no new work. */
export interface ShutdownNotice {
  /**
   * Whether the shutdown has begun. Running work continues; loops should take no new work, and a readiness probe should
   * answer 503.
   */
  readonly draining: boolean;
  /**
   * Aborts when the shutdown begins, to end waits for new work. The scope and its `signal` are cancelled later, when
   * the grace period is over, or never. Created on the first read.
   */
  readonly drainSignal: AbortSignal;
  /**
   * Calls `callback` when the shutdown begins, before the server stops listening and before anything is cancelled. Use
   * it to end event streams, close WebSockets and leave a consumer group. If the shutdown has already begun, `callback`
   * is called at once.
   *
   * The callback runs as a task of the scope: the shutdown waits for its promise as for any other work, within the grace
   * period. An error that it throws is the failure of that task.
   *
   * @returns A function that removes the callback, and returns whether that prevented the call.
   * @throws {TypeError} If `callback` is not a function.
   */
  onShutdown(callback: (scope: Scope) => unknown): () => boolean;
}

type Callback = (scope: Scope) => unknown;

interface Entry {
  readonly callback: Callback;
  readonly site: string | undefined;
}

/** The announcement of one scope's shutdown, with its callbacks. */
export class ShutdownAnnouncement {
  readonly #node: ScopeNode;
  readonly #callbacks = new Set<Entry>();
  #controller: AbortController | undefined;
  #hasBegun = false;

  constructor(node: ScopeNode) {
    this.#node = node;
    markDrainable(node);
    guardChannels();
    guardSemaphores();
  }

  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#hasBegun) this.#abort(this.#controller);
    }
    return this.#controller.signal;
  }

  /** @param site - The call site of `onShutdown`; see `callSite`. */
  add(callback: Callback, site: string | undefined): () => boolean {
    requireFunction("onShutdown", "callback", callback);
    if (this.#hasBegun) {
      this.#call({ callback, site });
      return () => false;
    }
    const entry = { callback, site }; // one function may be added twice
    this.#callbacks.add(entry);
    return () => this.#callbacks.delete(entry);
  }

  /** Announces the shutdown once: sets the flag, aborts the signal, then calls the callbacks. */
  begin(): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    beginDraining(this.#node);
    if (this.#controller !== undefined) this.#abort(this.#controller);
    for (const entry of this.#callbacks) {
      this.#callbacks.delete(entry);
      this.#call(entry);
    }
  }

  #abort(controller: AbortController): void {
    controller.abort(createReason("shutdown", this.#node.path, undefined));
  }

  #call({ callback, site }: Entry): void {
    const node = this.#node;
    if (isLive(node)) {
      try {
        return void startTask(node, callback, { name: callback.name || "onShutdown" }, site);
      } catch {
        // The scope is ending: handled as below.
      }
    }
    // A cancelled scope, for example after a failure, starts no tasks.
    try {
      const result = callback(node);
      if (!isThenable(result)) return;
      const settled = Promise.resolve(result);
      settled.catch(() => undefined);
      if (!isClosed(node)) defer(node, "onShutdown", () => settled, callback, site);
      else settled.catch((error: unknown) => report(node, error, node));
    } catch (error) {
      report(node, error, node);
    }
  }
}
