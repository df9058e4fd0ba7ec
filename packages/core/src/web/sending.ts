import { isCancellationOf } from "../kernel/is-cancellation.js";
import { fail } from "../kernel/lifecycle.js";
import type { ScopeNode } from "../kernel/node.js";
import { outcomeOf, type RequestOutcome } from "../http/outcome.js";
import type { RequestRecord } from "../http/request.js";
import type { Endable } from "../http/responder.js";
import { peek, type BodyObserver, type Peeked } from "./body.js";
import type { HostArguments } from "./host-arguments.js";
import { cancelledFirst } from "./nested.js";
import { followConnection } from "./pipelined.js";
import { disconnected, withBytes, withStream, type WithBody } from "./responses.js";

/** The part of an exchange that is used. */
interface Sender extends Endable {
  readonly request: Request;
  readonly hostArguments: HostArguments;
  readonly node: ScopeNode;
  readonly record: RequestRecord<Request, Sender>;
  readonly hasEnded: boolean;
  settle(value: unknown): void;
  finish(value: unknown): void;
  relay(peeked: Peeked): ReadableStream;
  end(): void;
  onDisconnect(): void;
}

/** Sends a response whose body may take time, in a scope that is in use. */
export async function sendBody(exchange: Sender, response: WithBody): Promise<void> {
  const peeked = await peek(response);
  const { record } = exchange;
  if (record.isDone) {
    peeked.reader.cancel(record.node.reason).catch(() => undefined);
    return exchange.settle(disconnected());
  }
  if (peeked.bytes !== undefined) return exchange.finish(withBytes(response, peeked.bytes));
  followConnection(exchange.request, exchange.hostArguments);
  exchange.settle(withStream(response, exchange.relay(peeked), peeked.length));
  if (record.node.cancelled) record.watchHandler();
}

/** Ends a request with its body. */
export class SentBody implements BodyObserver {
  readonly request: Request;
  readonly #exchange: Sender;

  constructor(exchange: Sender) {
    this.request = exchange.request;
    this.#exchange = exchange;
  }

  onSent(): void {
    this.#exchange.end();
  }

  onBodyCancelled(): void {
    this.#exchange.onDisconnect();
  }

  onFailed(error: unknown): void {
    const { record, node } = this.#exchange;
    record.receive(error); // the host receives it by the body
    const outcome = failureOutcome(this.#exchange, error, false);
    if (!node.cancelled || !isCancellationOf(node, error)) fail(node, error);
    if (outcome.status === undefined) record.done();
    else record.end(outcome);
  }
}

/** What a failure means, for the outer one of nested requests as well. */
export function failureOutcome(exchange: Sender, error: unknown, isDisconnected: boolean): RequestOutcome {
  return outcomeOf(cancelledFirst(exchange, exchange.node.reason).record, error, isDisconnected);
}
