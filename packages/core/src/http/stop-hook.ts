import type { Server } from "node:net";
import { Hook } from "../kernel/hook.js";
import type { ServerState } from "./server-state.js";
import { addServer, removeServer, type StoppableServer } from "../process/servers.js";
import { shutDown } from "./shutdown.js";

/**
 * A server whose scope is cancelled, or ends, shuts down; so does one whose process is told to stop. Holds the server
 * weakly: see the invariant of node.ts.
 */
export class StopHook extends Hook implements StoppableServer {
  readonly #server: WeakRef<Server>;
  readonly #state: ServerState;

  constructor(server: Server, state: ServerState) {
    super();
    this.#server = new WeakRef(server);
    this.#state = state;
    addServer(this);
  }

  async stop(): Promise<void> {
    const server = this.#server.deref();
    if (server !== undefined) await shutDown(server, this.#state);
  }

  override ended(): void {
    removeServer(this);
  }

  run(): void {
    removeServer(this);
    const server = this.#server.deref();
    // Failures of the scope itself are for whoever closes it.
    if (server !== undefined) shutDown(server, this.#state, { grace: 0 }).catch(() => undefined);
  }
}
