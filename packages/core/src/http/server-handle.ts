import { detached } from "../errors/detach-stack.js";
import { optionNames } from "../errors/option-names.js";
import type { TaskInfo } from "../errors/scope-errors.js";
import { checkDuration, checkOptionsObject, refuseOptions } from "../errors/validate.js";
import { callSite } from "../kernel/call-site.js";
import type { ScopeNode } from "../kernel/node.js";
import type { Scope } from "../kernel/scope.js";
import type { ShutdownAnnouncement, ShutdownNotice } from "../process/shutdown-notice.js";
import { Handle, type ScopeHandle } from "../task/handle.js";

// The owner handle of a server's scope, for every kind of server: `shutdown()` with its options and its report, and
// the announcement before it. The file knows no objects of Node and takes no step of a shutdown.

/** The options of `shutdown`. */
export interface ShutdownOptions {
  /** Milliseconds that running requests, jobs and answers get. Default: the server's `grace`. */
  readonly grace?: number | undefined;
  /** Milliseconds before the server stops listening, in addition. Default: the server's `drainDelay`. */
  readonly drainDelay?: number | undefined;
}

/** The outcome of a shutdown: how the requests of the server ended. */
export interface ShutdownReport {
  /** How many requests were running when the shutdown began. */
  readonly running: number;
  /** How many requests and jobs had to be cancelled because the grace period was over. */
  readonly cancelled: number;
  /** The requests that were answered in their handler's place, and the tasks and cleanups that still run. */
  readonly stuck: readonly TaskInfo[];
  /**
   * How many responses were started and not sent completely in time: their handler had not ended them, or the client
   * was too slow.
   */
  readonly cutOff: number;
  /** How long the shutdown took, in milliseconds. */
  readonly duration: number;
}

/** The label of the cleanup that waits for the end of a shutdown. */
export const SHUTDOWN = "the shutdown of its server";

const shutdownOptionNames = optionNames<ShutdownOptions>({ grace: true, drainDelay: true });

/** The owner handle of a server's scope. */
export interface ServerScope extends ScopeHandle, ShutdownNotice {
  /**
   * Shuts the server down: requests finish within the grace period, and are cancelled after it.
   *
   * First the `onShutdown` callbacks are called. After `drainDelay` the server stops listening, and closes idle
   * connections. Running requests, and tasks of the server's scope that are not daemons, get the grace period. Then
   * they are cancelled with kind `"shutdown"`, and get the same time again for their cleanup (at least one second).
   * Finally, requests without a response get a 503, and are reported as stuck.
   *
   * @param options - `grace` and `drainDelay` in ms. Default: the server's.
   * @returns How the requests ended. A second call returns the same.
   * @throws The failure of a cleanup of the server's scope (as a rejection), at the end of the shutdown.
   */
  shutdown(options?: ShutdownOptions): Promise<ShutdownReport>;
}

/** The interface to the server that the handle and the shutdown of its scope use. */
export interface DrainableServer {
  readonly node: ScopeNode;
  readonly grace: number | undefined;
  readonly drainDelay: number | undefined;
  readonly draining: ShutdownAnnouncement;
}

/** The handle of a server's scope. A subclass knows how its server shuts down. */
export abstract class ServerHandle<State extends DrainableServer> extends Handle implements ServerScope {
  readonly #state: State;

  constructor(node: ScopeNode, state: State) {
    super(node);
    this.#state = state;
  }

  protected get serverState(): State {
    return this.#state;
  }

  get draining(): boolean {
    return this.#state.draining.hasBegun;
  }

  get drainSignal(): AbortSignal {
    return this.#state.draining.signal;
  }

  onShutdown(callback: (scope: Scope) => unknown, extra?: unknown): () => boolean {
    try {
      refuseOptions("onShutdown", extra);
      // oxlint-disable-next-line typescript/unbound-method -- only its identity matters
      return this.#state.draining.add(callback, callSite(ServerHandle.prototype.onShutdown));
    } catch (error) {
      throw detached(error);
    }
  }

  async shutdown(options?: ShutdownOptions): Promise<ShutdownReport> {
    if (options !== undefined) checkOptionsObject("shutdown", options, shutdownOptionNames);
    checkDuration("shutdown", "grace", options?.grace);
    checkDuration("shutdown", "drainDelay", options?.drainDelay);
    return this.shutDown(options);
  }

  protected abstract shutDown(options?: ShutdownOptions): Promise<ShutdownReport>;
}
