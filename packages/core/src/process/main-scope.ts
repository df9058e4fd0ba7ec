import { callSite } from "../kernel/call-site.js";
import type { ScopeNode } from "../kernel/node.js";
import type { Scope } from "../kernel/scope.js";
import { Handle } from "../task/handle.js";
import type { Draining, ShutdownNotice } from "./shutdown-notice.js";

/** What `main` gives its body: the root scope of the process, which also says when it is told to stop. */
export interface MainScope extends Scope, ShutdownNotice {}

/** A scope's view with the members of {@link ShutdownNotice}. Nobody's collection matters here, as `main` holds it. */
export class MainView extends Handle implements MainScope {
  readonly #draining: Draining;

  constructor(node: ScopeNode, draining: Draining) {
    super(node);
    this.#draining = draining;
  }

  get draining(): boolean {
    return this.#draining.hasBegun;
  }

  get drainSignal(): AbortSignal {
    return this.#draining.signal;
  }

  onShutdown(callback: (scope: Scope) => unknown): () => boolean {
    // oxlint-disable-next-line typescript/unbound-method -- only its identity matters
    return this.#draining.add(callback, callSite(MainView.prototype.onShutdown));
  }
}
