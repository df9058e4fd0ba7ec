import type { ScopeNode } from "../kernel/node.js";
import type { Scope } from "../kernel/scope.js";
import type { WebHooks } from "./hooks.js";

/** The server of an exchange. */
export interface ExchangeHost<Exchange, Record> {
  readonly hooks: WebHooks | undefined;
  /** Makes the scope of a request. */
  makeNode(exchange: Exchange): ScopeNode;
  /** Called when somebody has asked for the scope of a request whose handler was called without it. */
  onOpened(exchange: Exchange): void;
  /** Makes the record of a request. */
  makeRecord(exchange: Exchange, node: ScopeNode): Record;
  /** Called when the response of a request is done. */
  onEnd(exchange: Exchange): void;
  /** The same for a request whose scope nobody has asked for. */
  onUnopenedEnd(exchange: Exchange): void;
}

/** A handler, as it is called: with the request, its scope, and what the host passes. */
export type AnyHandler = (this: unknown, request: never, scope: Scope, ...rest: never[]) => unknown;
/** The handler of an application: it is called without the scope. */
export type AnyFetch = (this: unknown, request: never, ...rest: never[]) => unknown;
