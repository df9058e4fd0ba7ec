import type { Server } from "node:net";
import { Hook } from "../kernel/hook.js";
import type { ServerState } from "./server-state.js";
import { shutDown } from "./shutdown.js";

/** A server whose scope is cancelled, or ends, shuts down. Holds the server weakly: see the invariant of node.ts. */
export class StopHook extends Hook {
  readonly #server: WeakRef<Server>;
  readonly #state: ServerState;

  constructor(server: Server, state: ServerState) {
    super();
    this.#server = new WeakRef(server);
    this.#state = state;
  }

  run(): void {
    const server = this.#server.deref();
    // Failures of the scope itself are for whoever closes it.
    if (server !== undefined) shutDown(server, this.#state, 0).catch(() => undefined);
  }
}
