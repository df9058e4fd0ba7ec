import { createReason } from "../errors/cancelled.js";
import { initialGroup, isCancelled, isClosed, isOpen } from "../kernel/state.js";
import { addHook } from "../kernel/cancel-hooks.js";
import { publishStart } from "../kernel/diagnostics.js";
import type { ScopeNode } from "../kernel/node.js";
import { onTurn } from "../kernel/platform.js";
import { incomingTimeout } from "../http/deadline-header.js";
import { RequestRecord, setRecord, type RequestHost } from "../http/request.js";
import type { Responder } from "../http/responder.js";
import type { DrainableServer } from "../http/server-handle.js";
import { ShutdownAnnouncement } from "../process/shutdown-notice.js";
import { linkChild, makeCancelledChild, makeChild } from "../task/child.js";
import { Exchange, type WebRecord } from "./exchange.js";
import type { WebHooks } from "./hooks.js";

// The state of one `fetchBough`: its options and its open requests, and how a request gets its scope. The file takes no step
// of a shutdown (shutdown.ts does).

/** A function that names the route of a request. */
export type RouteName = (request: never, ...rest: never[]) => string | undefined;

/** What each request of a `fetchBough` is subject to. */
export interface RequestPolicy {
  readonly timeout: number | undefined;
  /** The name of the header with the caller's deadline; `undefined` if it is off. */
  readonly deadlineHeader: string | undefined;
  readonly route: string | RouteName | undefined;
  readonly hooks: WebHooks | undefined;
}

/** The requests that go through one `fetchBough`. */
export class WebServer implements RequestHost<Request, Exchange>, DrainableServer {
  readonly node: ScopeNode;
  readonly grace: number | undefined;
  readonly drainDelay: number | undefined;
  readonly draining: ShutdownAnnouncement;
  /** Called after each request: it may have been the last. */
  onRequestDone: (() => void) | undefined = undefined;
  /** Settles when a shutdown has seen the last request. `undefined` before the shutdown. */
  drained: Promise<void> | undefined = undefined;
  readonly #policy: RequestPolicy;
  /** The requests that arrived after the scope had been cancelled, and so are not in it. */
  readonly #late = new Set<WebRecord>();
  /** The requests whose handlers may be running at the next turn of the event loop. */
  #fresh: Exchange[] = [];

  constructor(
    node: ScopeNode,
    policy: RequestPolicy,
    grace: number | undefined,
    drainDelay: number | undefined,
  ) {
    this.node = node;
    this.#policy = policy;
    this.grace = grace;
    this.drainDelay = drainDelay;
    this.draining = new ShutdownAnnouncement(node);
  }

  /**
   * Opens the scope of a request and calls the handler.
   *
   * @returns What the host receives.
   */
  serve(
    request: Request,
    rest: readonly unknown[],
    handler: (scope: ScopeNode) => unknown,
  ): Promise<unknown> {
    const { node: parent } = this;
    const exchange = new Exchange(request, this.#policy.hooks);
    const name = this.#nameOf(request, rest);
    const isLate = !isOpen(parent);
    const node = isLate
      ? makeCancelledChild(parent, name, initialGroup)
      : makeChild("fetchBough", parent, name, initialGroup);
    const record: WebRecord = new RequestRecord<Request, Exchange>(node, request, exchange, this, exchange);
    setRecord(request as never, record as never);
    if (isLate) return this.#serveLate(record, exchange, handler);
    linkChild(node, undefined, undefined);
    node.observer = record;
    addHook(node, record);
    const stores = publishStart(node, "request");
    if (stores === undefined) return this.#start(record, exchange, rest, handler);
    return stores.run(() => this.#start(record, exchange, rest, handler));
  }

  #start(
    record: WebRecord,
    exchange: Exchange,
    rest: readonly unknown[],
    handler: (scope: ScopeNode) => unknown,
  ): Promise<unknown> {
    this.#limit(record);
    const { node, request } = record;
    const answer = exchange.run(record, () => handler(node));
    if (isClosed(node)) return answer;
    const waitUntil = waitUntilOf(request, rest);
    if (waitUntil !== undefined) {
      waitUntil(exchange.settled());
      exchange.watchClient(); // at once: in workerd a turn for all requests would belong to one of them
    } else if (exchange.isRunning) {
      if (this.#fresh.push(exchange) === 1) onTurn(this.#watchClients);
    }
    return answer;
  }

  /**
   * Reads `request.signal` of the requests that are still being handled: making that signal costs some hosts more than
   * everything else that a request does, and no client can be seen to leave before the turn is over.
   */
  readonly #watchClients = (): void => {
    const fresh = this.#fresh;
    this.#fresh = [];
    for (const exchange of fresh) exchange.watchClient();
  };

  /** Serves a request that arrives during the end of a shutdown, or after it. */
  #serveLate(
    record: WebRecord,
    exchange: Exchange,
    handler: (scope: ScopeNode) => unknown,
  ): Promise<unknown> {
    const { node } = record;
    const { node: parent } = this;
    if (!isCancelled(parent)) node.ownReason = createReason("shutdown", parent.path, undefined);
    if (isClosed(parent)) return exchange.refuse(record);
    this.#late.add(record);
    const answer = exchange.run(record, () => handler(node));
    if (exchange.isRunning) {
      exchange.watchClient();
      record.watchHandler();
    }
    return answer;
  }

  #nameOf(request: Request, rest: readonly unknown[]): string {
    const { route } = this.#policy;
    const name = typeof route === "function" ? route(request as never, ...(rest as never[])) : route;
    return name ?? defaultName(request);
  }

  #limit(record: WebRecord): void {
    const { timeout, deadlineHeader } = this.#policy;
    if (timeout !== undefined) record.limit(timeout);
    if (deadlineHeader === undefined) return;
    const left = incomingTimeout(record.request.headers.get(deadlineHeader));
    if (left !== undefined && record.limit(left)) record.hasIncomingDeadline = true;
  }

  createResponder(_request: Request, exchange: Exchange): Responder {
    return exchange;
  }

  onDone(record: WebRecord): void {
    if (this.#late.size > 0) this.#late.delete(record);
    this.onRequestDone?.();
  }

  onSettled({ response }: WebRecord): void {
    response.onSettled();
  }

  /** The requests whose answers are not complete. */
  get records(): readonly WebRecord[] {
    const found: WebRecord[] = [];
    for (let child = this.node.first; child !== undefined; child = child.next) {
      const record = child.observer;
      if (record instanceof RequestRecord && !record.isDone) found.push(record);
    }
    return [...found, ...this.#late];
  }
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
  for (const holder of [...rest, request]) {
    if (typeof holder !== "object" || holder === null) continue;
    const { waitUntil } = holder as { readonly waitUntil?: unknown };
    if (typeof waitUntil === "function") return (promise) => void waitUntil.call(holder, promise);
  }
  return undefined;
}
