import type { ScopeNode } from "../kernel/node.js";
import type { WebHooks } from "./hooks.js";

/** The server of an exchange. */
export interface ExchangeHost<Exchange, Record> {
  readonly hooks: WebHooks | undefined;
  /** Creates the scope of a request. */
  makeNode(exchange: Exchange): ScopeNode;
  /** Called when the scope of a request has been created. */
  onOpened(exchange: Exchange): void;
  /** Creates the record of a request. */
  makeRecord(exchange: Exchange, node: ScopeNode): Record;
  /** Called when the response of a request is done. */
  onEnd(exchange: Exchange): void;
  /** The same for a request whose scope was never read. */
  onUnopenedEnd(exchange: Exchange): void;
  /** Called when an exchange may be used for another request. */
  onRetired(exchange: Exchange): void;
}
