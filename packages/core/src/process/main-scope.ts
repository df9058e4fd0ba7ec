import { refuseOptions } from "../errors/validate.js";
import { callSite } from "../kernel/call-site.js";
import type { ScopeNode } from "../kernel/node.js";
import type { Scope } from "../kernel/scope.js";
import { Handle } from "../task/handle.js";
import type { ShutdownAnnouncement, ShutdownNotice } from "./shutdown-notice.js";

/** The scope that `main` passes to its body: the root scope of the process, with the announcement of its shutdown. */
export interface MainScope extends Scope, ShutdownNotice {}

/** A scope with the members of {@link ShutdownNotice}. It is never an orphan, since `main` holds it. */
export class MainView extends Handle implements MainScope {
  readonly #draining: ShutdownAnnouncement;

  constructor(node: ScopeNode, draining: ShutdownAnnouncement) {
    super(node);
    this.#draining = draining;
  }

  get draining(): boolean {
    return this.#draining.hasBegun;
  }

  get drainSignal(): AbortSignal {
    return this.#draining.signal;
  }

  onShutdown(callback: (scope: Scope) => unknown, extra?: unknown): () => boolean {
    refuseOptions("onShutdown", extra);
    // oxlint-disable-next-line typescript/unbound-method -- only its identity matters
    return this.#draining.add(callback, callSite(MainView.prototype.onShutdown));
  }
}
