import { createReason } from "../errors/cancelled.js";
import { initialGroup, isCancelled, isClosed, isOpen } from "../kernel/state.js";
import { addHook } from "../kernel/cancel-hooks.js";
import { publishStart } from "../kernel/diagnostics.js";
import type { ScopeNode } from "../kernel/node.js";
import { onTurn } from "../kernel/platform.js";
import { incomingTimeout } from "../http/deadline-header.js";
import { RequestRecord, type RequestHost } from "../http/request.js";
import type { Responder } from "../http/responder.js";
import type { DrainableServer } from "../http/server-handle.js";
import { ShutdownAnnouncement } from "../process/shutdown-notice.js";
import { linkChild, makeCancelledChild, makeChild } from "../task/child.js";
import { Exchange, type AnyHandler, type ExchangeHost, type WebRecord } from "./exchange.js";
import type { WebHooks } from "./hooks.js";

// The state of one `fetchBough`: its options and its open requests, and how a request gets its scope. The file takes no step
// of a shutdown (shutdown.ts does).

/** A function that names the route of a request. */
type RouteName = (request: never, ...rest: never[]) => string | undefined;

/** The options for each request of a `fetchBough`. */
export interface RequestPolicy {
  readonly timeout: number | undefined;
  /** The name of the header with the caller's deadline; `undefined` if it is off. */
  readonly deadlineHeader: string | undefined;
  readonly route: string | RouteName | undefined;
  readonly hooks: WebHooks | undefined;
}

/** The requests that go through one `fetchBough`. */
export class WebServer implements RequestHost<Request, Exchange>, ExchangeHost, DrainableServer {
  readonly node: ScopeNode;
  readonly grace: number | undefined;
  readonly drainDelay: number | undefined;
  readonly draining: ShutdownAnnouncement;
  /** Called after each request: it may have been the last. */
  onRequestDone: (() => void) | undefined = undefined;
  /** Settles when a shutdown has seen the last request. `undefined` before the shutdown. */
  drained: Promise<void> | undefined = undefined;
  readonly #policy: RequestPolicy;
  readonly #isLimited: boolean;
  /** The requests that arrived after the scope had been cancelled, and so are not in it. */
  readonly #late = new Set<Exchange>();
  /** The requests whose handlers may be running at the next turn of the event loop. */
  #fresh: Exchange[] = [];
  #isWatching = false;

  get hooks(): WebHooks | undefined {
    return this.#policy.hooks;
  }

  constructor(
    node: ScopeNode,
    policy: RequestPolicy,
    grace: number | undefined,
    drainDelay: number | undefined,
  ) {
    this.node = node;
    this.#policy = policy;
    this.#isLimited = policy.timeout !== undefined || policy.deadlineHeader !== undefined;
    this.grace = grace;
    this.drainDelay = drainDelay;
    this.draining = new ShutdownAnnouncement(node);
  }

  /**
   * Opens the scope of a request and calls the handler.
   *
   * @returns What the host receives.
   */
  serve(request: Request, rest: readonly unknown[], handler: AnyHandler, self: unknown): Promise<unknown> {
    const { node: parent } = this;
    const name = this.#nameOf(request, rest);
    const isLate = !isOpen(parent);
    const node = isLate
      ? makeCancelledChild(parent, name, initialGroup)
      : makeChild("fetchBough", parent, name, initialGroup);
    const exchange = new Exchange(node, request, this);
    (request as Slot)[exchangeKey] = exchange;
    if (isLate) return this.#serveLate(exchange, rest, handler, self);
    linkChild(node, undefined, undefined);
    node.observer = exchange;
    const stores = publishStart(node, "request");
    if (stores === undefined) return this.#start(exchange, rest, handler, self);
    return stores.run(() => this.#start(exchange, rest, handler, self));
  }

  #start(exchange: Exchange, rest: readonly unknown[], handler: AnyHandler, self: unknown): Promise<unknown> {
    if (this.#isLimited) this.#limit(exchange);
    const answer = exchange.run(handler, self, rest);
    if (isClosed(exchange.node)) return answer;
    const waitUntil = waitUntilOf(exchange.request, rest);
    if (waitUntil !== undefined) {
      waitUntil(exchange.settled());
      exchange.watchClient(); // at once: in workerd a turn for all requests would belong to one of them
    } else if (exchange.isRunning) {
      this.#fresh.push(exchange);
      if (!this.#isWatching) {
        this.#isWatching = true;
        onTurn(this.#watchClients);
      }
    }
    return answer;
  }

  /**
   * Reads `request.signal` of the requests that are still being handled: making that signal costs some hosts more than
   * everything else that a request does, and no client can be seen to leave before the turn is over.
   */
  readonly #watchClients = (): void => {
    const fresh = this.#fresh;
    this.#isWatching = false;
    if (fresh.length === 0) return;
    this.#fresh = [];
    for (const exchange of fresh) exchange.watchClient();
  };

  /** Serves a request that arrives during the end of a shutdown, or after it. */
  #serveLate(
    exchange: Exchange,
    rest: readonly unknown[],
    handler: AnyHandler,
    self: unknown,
  ): Promise<unknown> {
    const { node } = exchange;
    const { node: parent } = this;
    if (!isCancelled(parent)) node.ownReason = createReason("shutdown", parent.path, undefined);
    if (isClosed(parent)) return exchange.refuse();
    this.#late.add(exchange);
    const answer = exchange.run(handler, self, rest);
    if (exchange.isRunning) {
      exchange.watchClient();
      exchange.record.watchHandler();
    }
    return answer;
  }

  #nameOf(request: Request, rest: readonly unknown[]): string {
    const { route } = this.#policy;
    const name = typeof route === "function" ? route(request as never, ...(rest as never[])) : route;
    return name ?? defaultName(request);
  }

  #limit(exchange: Exchange): void {
    const { timeout, deadlineHeader } = this.#policy;
    if (timeout !== undefined) exchange.record.limit(timeout);
    if (deadlineHeader === undefined) return;
    const left = incomingTimeout(exchange.request.headers.get(deadlineHeader));
    if (left !== undefined && exchange.record.limit(left)) exchange.record.hasIncomingDeadline = true;
  }

  makeRecord(exchange: Exchange): WebRecord {
    const { node, request } = exchange;
    const record: WebRecord = new RequestRecord<Request, Exchange>(node, request, exchange, this, exchange);
    if (isClosed(node)) return record;
    node.observer = record;
    if (!node.cancelled) addHook(node, record);
    else if (node.reason !== undefined) record.run(node.reason);
    return record;
  }

  createResponder(_request: Request, exchange: Exchange): Responder {
    return exchange;
  }

  onDone({ response }: WebRecord): void {
    this.onEnd(response);
  }

  onEnd(exchange: Exchange): void {
    // Most handlers are done before the next one is called: what they leave must not wait for the end of the turn.
    const fresh = this.#fresh;
    if (fresh.length > 0 && fresh[fresh.length - 1] === exchange) fresh.pop();
    if (this.#late.size > 0) this.#late.delete(exchange);
    this.onRequestDone?.();
  }

  onSettled({ response }: WebRecord): void {
    response.onSettled();
  }

  /** The requests whose answers are not complete. */
  get records(): readonly WebRecord[] {
    const found: Exchange[] = [];
    for (let child = this.node.first; child !== undefined; child = child.next) {
      const { observer } = child;
      if (observer instanceof Exchange) found.push(observer);
      else if (observer instanceof RequestRecord) found.push(observer.response);
    }
    return [...found, ...this.#late].map(({ record }) => record).filter(({ isDone }) => !isDone);
  }
}

/** The slot of a request: its exchange. */
interface Slot {
  [exchangeKey]?: Exchange;
}

const exchangeKey: unique symbol = Symbol("bough.webRequest");

/** The exchange of a request that goes through `fetchBough`. */
export function exchangeOf(request: object): Exchange | undefined {
  return (request as Slot)[exchangeKey];
}

/** Method and path, without the query, which may hold secrets. */
function defaultName({ method, url }: Request): string {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  if (start < 0) return `${method} /`;
  const query = url.indexOf("?", start);
  return `${method} ${query < 0 ? url.slice(start) : url.slice(start, query)}`;
}

type WaitUntil = (promise: Promise<unknown>) => void;

/** How the host is asked to stay alive: by an argument, as in workers, or by the request, as in srvx. */
function waitUntilOf(request: Request, rest: readonly unknown[]): WaitUntil | undefined {
  for (const holder of rest) {
    const waitUntil = waitUntilIn(holder);
    if (waitUntil !== undefined) return waitUntil;
  }
  return waitUntilIn(request);
}

function waitUntilIn(holder: unknown): WaitUntil | undefined {
  if (typeof holder !== "object" || holder === null) return undefined;
  const { waitUntil } = holder as { readonly waitUntil?: unknown };
  return typeof waitUntil === "function" ? (promise) => void waitUntil.call(holder, promise) : undefined;
}
