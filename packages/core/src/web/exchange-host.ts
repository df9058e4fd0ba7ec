import type { ScopeNode } from "../kernel/node.js";
import type { Scope } from "../kernel/scope.js";
import type { WebHooks } from "./hooks.js";

/** The server of an exchange. */
export interface ExchangeHost<Exchange, Record> {
  readonly hooks: WebHooks | undefined;
  /** Creates the scope of a request. */
  makeNode(exchange: Exchange): ScopeNode;
  /** Called when the scope of a request is first read, if its handler was called without it. */
  onOpened(exchange: Exchange): void;
  /** Creates the record of a request. */
  makeRecord(exchange: Exchange, node: ScopeNode): Record;
  /** Called when the response of a request is done. */
  onEnd(exchange: Exchange): void;
  /** The same for a request whose scope was never read. */
  onUnopenedEnd(exchange: Exchange): void;
}

/** A handler. It receives the request, its scope, and the other arguments of the host. */
export type AnyHandler = (this: unknown, request: never, scope: Scope, ...rest: never[]) => unknown;
/** An application that takes requests: it is called without the scope. */
export interface AnyApp {
  fetch(request: never, ...rest: never[]): unknown;
}

/** Bun takes longer to spread a list than to make a scope; most hosts pass one argument more, or none. */
export function callApp(app: AnyApp, request: Request, rest: readonly unknown[]): unknown {
  if (rest.length === 0) return app.fetch(request as never);
  if (rest.length === 1) return app.fetch(request as never, rest[0] as never);
  return app.fetch(request as never, ...(rest as never[]));
}
