import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { Scope } from "../../src/index.js";
import type {
  ScopeCancelMessage,
  ScopeCloseMessage,
  ScopeOpenMessage,
  TaskSettleMessage,
  TaskStartMessage,
} from "../../src/inspect/index.js";

/** Follows the messages of the diagnostics channels, and notes contradictions (rule 27). */
export class Ledger {
  readonly breaches: string[] = [];
  /** The scopes that should be open, with their parents. */
  readonly open: Map<Scope, Scope> = new Map<Scope, Scope>();
  readonly #seen = new Set<Scope>();
  readonly #tasks = new Set<Scope>();
  readonly #listeners = new Map<string, (message: never) => void>();
  #opened: string[] = [];

  constructor() {
    this.#listen<TaskStartMessage>("task:start", ({ scope, parent, task }) => {
      this.#begin(scope, parent);
      this.#tasks.add(scope);
      if (task.path !== scope.path || task.status !== "running") this.#note("started", scope);
    });
    this.#listen<ScopeOpenMessage>("scope:open", ({ scope, parent }) => this.#begin(scope, parent));
    this.#listen<ScopeCancelMessage>("scope:cancel", ({ scope, reason }) => {
      if (scope.reason !== reason) this.#note("not cancelled", scope);
      for (const [other] of this.open) {
        if (this.#isBelow(other, scope) && !other.cancelled)
          this.#note("not cancelled with its parent", other);
      }
    });
    this.#listen<TaskSettleMessage>("task:settle", ({ scope, task, ...rest }) => {
      if (!this.#tasks.has(scope)) this.#note("a scope that settles as a task", scope);
      this.#end(scope);
      this.#check(scope, task.status, rest);
    });
    this.#listen<ScopeCloseMessage>("scope:close", ({ scope, status, ...rest }) => {
      if (this.#tasks.has(scope)) this.#note("a task that closes as a scope", scope);
      this.#end(scope);
      this.#check(scope, status, rest);
    });
  }

  /** The names of what was opened since the last call, in order. */
  takeOpened(): string[] {
    return this.#opened.splice(0);
  }

  stop(): void {
    for (const [name, listener] of this.#listeners) unsubscribe(name, listener as never);
  }

  #listen<M>(name: string, listener: (message: M) => void): void {
    this.#listeners.set(`bough:${name}`, listener);
    subscribe(`bough:${name}`, listener as never);
  }

  #begin(scope: Scope, parent: Scope): void {
    this.#opened.push(scope.name);
    if (this.#seen.has(scope)) this.#note("opened twice", scope);
    if (scope.state === "closed") this.#note("closed when it opened", scope);
    this.#seen.add(scope);
    this.open.set(scope, parent);
  }

  #end(scope: Scope): void {
    if (!this.open.delete(scope)) this.#note("closed, and not open", scope);
    if (scope.state !== "closed") this.#note(`${scope.state} when it closed`, scope);
    for (const parent of this.open.values()) if (parent === scope) this.#note("closed before a child", scope);
  }

  #check(scope: Scope, status: string, rest: { error?: unknown }): void {
    const rejects = status === "failed" || status === "cancelled";
    if (!rejects && status !== "succeeded") this.#note(status, scope);
    if ("error" in rest !== rejects) this.#note(`${status} with ${String(rest.error)}`, scope);
    if (status === "failed" && rest.error !== scope.errors[0]) this.#note("failed with another error", scope);
    if (status === "cancelled" && rest.error !== scope.reason) this.#note("cut for another reason", scope);
  }

  #isBelow(scope: Scope, above: Scope): boolean {
    for (let at = this.open.get(scope); at !== undefined; at = this.open.get(at))
      if (at === above) return true;
    return false;
  }

  #note(what: string, scope: Scope): void {
    this.breaches.push(`${scope.path}: ${what}`);
  }
}
