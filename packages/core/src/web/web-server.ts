import { createReason } from "../errors/cancelled.js";
import { wrongType } from "../errors/validate.js";
import { initialGroup, isCancelled, isClosed, isOpen } from "../kernel/state.js";
import { addHook } from "../kernel/cancel-hooks.js";
import { isListening, publishOpen, publishStart } from "../kernel/diagnostics.js";
import type { ScopeNode } from "../kernel/node.js";
import { isBun, onTurn, setUnrefTimer } from "../kernel/platform.js";
import { ReusePool } from "../kernel/reuse-pool.js";
import { incomingTimeout } from "../http/deadline-header.js";
import { RequestRecord, type RequestHost } from "../http/request.js";
import type { Responder } from "../http/responder.js";
import type { DrainableServer } from "../http/server-handle.js";
import { ShutdownAnnouncement } from "../process/shutdown-notice.js";
import { linkChild, makeCancelledChild, makeChild, makeEndedChild } from "../task/child.js";
import type { ExchangeHost } from "./exchange-host.js";
import { Exchange, type WebRecord } from "./exchange.js";
import type { WebHooks } from "./hooks.js";
import { argumentList, type AnyApp, type AnyHandler, type HostArguments } from "./host-arguments.js";
import { ExchangeList } from "./exchange-list.js";
import { endedAtReturn } from "./ended-scope.js";
import { innermost, nest, unnest } from "./nested.js";
import { nameOfRequest } from "./request-name.js";
import { WaitUntilFinder } from "./wait-until.js";

// The state of one `fetchBough`: its options and its open requests. It opens the scopes of requests. shutdown.ts takes
// the steps of a shutdown.

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
export class WebServer
  implements RequestHost<Request, Exchange>, ExchangeHost<Exchange, WebRecord>, DrainableServer
{
  readonly node: ScopeNode;
  readonly grace: number | undefined;
  readonly drainDelay: number | undefined;
  readonly draining: ShutdownAnnouncement;
  /** Called after each request, which may have been the last one. */
  onRequestDone: ((record: WebRecord | undefined) => void) | undefined = undefined;
  /** Settles when a shutdown has seen the last request. `undefined` before the shutdown. */
  drained: Promise<void> | undefined = undefined;
  readonly #policy: RequestPolicy;
  readonly #isLimited: boolean;
  /** Whether scopes may be opened on first read: no option needs them earlier. */
  #mayOpenLater: boolean;
  /** The requests that have no scope yet. */
  readonly #unopened = new ExchangeList<Exchange>();
  /** The exchanges of requests that ended without a scope. */
  readonly #retired = new ReusePool<Exchange>();
  /** The requests that arrived after the cancellation of the scope. They are not in it. */
  readonly #lateRequests = new Set<Exchange>();
  /** The requests whose clients are watched if they are still being handled when {@link scheduleWatch} calls back. */
  readonly #unwatched = new ExchangeList<Exchange>();
  #isWatching = false;
  readonly #waitUntil = new WaitUntilFinder();
  /** Whether a request has come from another `fetchBough`. */
  #hasNested = false;

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
    this.#mayOpenLater =
      !this.#isLimited && typeof policy.route !== "function" && policy.hooks?.onCancelled === undefined;
    this.grace = grace;
    this.drainDelay = drainDelay;
    this.draining = new ShutdownAnnouncement(node);
  }

  /**
   * Opens the scope of a request and calls the handler.
   *
   * @param owner - The owner handle, which the request holds until it has ended.
   * @returns What the host receives.
   */
  serve(
    owner: object,
    request: Request,
    rest: HostArguments,
    handler: AnyHandler,
    self: unknown,
  ): Promise<unknown> {
    const exchange = this.#makeExchange(owner, request, rest);
    if (!isOpen(this.node)) return this.#serveLate(exchange, handler, self);
    const stores = publishStart(exchange.node, "request");
    if (stores === undefined) return this.#start(exchange, handler, self);
    return stores.run(() => this.#start(exchange, handler, self));
  }

  /**
   * Like {@link serve}, for an application, which is called without the scope. The scope is opened when it is first
   * read, unless it is needed earlier.
   */
  serveApp(owner: object, request: Request, rest: HostArguments, app: AnyApp): Promise<unknown> {
    if (!this.#mayOpenLater || !isOpen(this.node) || isListening())
      return this.serve(owner, request, rest, (given, _scope, ...more) => app.fetch(given, ...more), app);
    const exchange = this.#makeExchange(owner, request, rest, this.#unopened);
    return exchange.runApp(app);
  }

  #makeExchange(
    owner: object,
    request: Request,
    rest: HostArguments,
    list?: ExchangeList<Exchange>,
  ): Exchange {
    const found = (request as RequestSlot)[exchangeKey];
    const outer = found !== undefined && isFor(found, request) ? innermost(found) : undefined;
    const exchange =
      isBun && list !== undefined && found === undefined
        ? this.#reusable(owner, request, rest)
        : new Exchange(request, rest, this, owner);
    (request as RequestSlot)[exchangeKey] = exchange;
    list?.add(exchange);
    if (outer !== undefined) {
      this.#hasNested = true;
      nest(exchange, outer); // opens its scope if the outer one is cancelled
    }
    return exchange;
  }

  #reusable(owner: object, request: Request, rest: HostArguments): Exchange {
    const retired = this.#retired.take();
    if (retired !== undefined) {
      retired.reuse(request, rest, owner);
      return retired;
    }
    const exchange = new Exchange(request, rest, this, owner);
    exchange.isReusable = true;
    return exchange;
  }

  #start(exchange: Exchange, handler: AnyHandler, self: unknown): Promise<unknown> {
    if (this.#isLimited) this.#limit(exchange);
    const answer = exchange.run(handler, self);
    if (!isClosed(exchange.node)) this.#follow(exchange);
    return answer;
  }

  makeNode(exchange: Exchange): ScopeNode {
    const { node: parent } = this;
    const { request, hostArguments } = exchange;
    if (exchange.hasEnded) {
      const ended = makeEndedChild(parent, exchange.name, initialGroup);
      ended.observer = endedAtReturn;
      return ended;
    }
    const name = isBun && this.#policy.route === undefined ? exchange : this.#nameOf(request, hostArguments);
    if (!isOpen(parent)) {
      const late = makeCancelledChild(parent, name, initialGroup);
      if (!isCancelled(parent)) late.ownReason = createReason("shutdown", parent.path, undefined);
      if (!isClosed(parent)) this.#lateRequests.add(exchange);
      return late;
    }
    const node = makeChild("fetchBough", parent, name, initialGroup);
    linkChild(node, undefined, undefined);
    node.observer = exchange;
    return node;
  }

  onOpened(exchange: Exchange): void {
    if (!this.#unopened.remove(exchange)) return; // its handler was called with the scope, or it has ended
    const { node } = exchange;
    if (isClosed(node)) return this.#followLate(exchange);
    publishOpen(node, "request");
    this.#follow(exchange);
  }

  /** Opens the scopes of all requests: from now on they are counted, and cancelled. */
  openAll(): void {
    this.#mayOpenLater = false;
    for (const exchange of this.#unopened.all()) void exchange.node;
  }

  /** Ends a request on a disconnect, and lets the host wait for its scope. */
  #follow(exchange: Exchange): void {
    const waitUntil = this.#waitUntil.find(exchange.request, exchange.hostArguments);
    if (waitUntil !== undefined) {
      waitUntil(exchange.settled());
      exchange.watchClient(); // at once: in workerd a turn for all requests would belong to one of them
    } else if (exchange.isHandlerRunning) {
      this.#unwatched.add(exchange);
      if (this.#isWatching) return;
      this.#isWatching = true;
      scheduleWatch(this.#watchClients);
    }
  }

  /** Reads `request.signal` of the requests that are still running: creating that signal is expensive in some hosts. */
  readonly #watchClients = (): void => {
    this.#isWatching = false;
    for (const exchange of this.#unwatched.takeAll()) exchange.watchClient();
  };

  /** Serves a request that arrives during the end of a shutdown, or after it. */
  #serveLate(exchange: Exchange, handler: AnyHandler, self: unknown): Promise<unknown> {
    if (isClosed(this.node)) return exchange.refuse();
    const answer = exchange.run(handler, self);
    this.#followLate(exchange);
    return answer;
  }

  #followLate(exchange: Exchange): void {
    if (!exchange.isHandlerRunning) return;
    exchange.watchClient();
    exchange.record.watchHandler();
  }

  #nameOf(request: Request, rest: HostArguments): string {
    const { route } = this.#policy;
    if (typeof route !== "function") return route ?? nameOfRequest(request);
    try {
      const name: unknown = route(request as never, ...(argumentList(rest) as never[]));
      if (typeof name === "string") return name;
      if (name !== undefined && name !== null)
        throw wrongType("fetchBough", "route must return a string", name);
    } catch (error) {
      // oxlint-disable-next-line no-console -- where servers and frameworks print errors that are not handled
      console.error("The option route of fetchBough has failed", error);
    }
    return nameOfRequest(request);
  }

  #limit(exchange: Exchange): void {
    const { timeout, deadlineHeader } = this.#policy;
    if (timeout !== undefined) exchange.record.limit(timeout);
    if (deadlineHeader === undefined) return;
    const left = incomingTimeout(exchange.request.headers.get(deadlineHeader));
    if (left !== undefined && exchange.record.limit(left)) exchange.record.hasIncomingDeadline = true;
  }

  makeRecord(exchange: Exchange, node: ScopeNode): WebRecord {
    const { request } = exchange;
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

  onDone(record: WebRecord): void {
    this.onEnd(record.response, record);
  }

  onEnd(exchange: Exchange, record?: WebRecord): void {
    this.#unwatched.remove(exchange);
    if (this.#hasNested) unnest(exchange);
    if (this.#lateRequests.size > 0) this.#lateRequests.delete(exchange);
    this.onRequestDone?.(record);
  }

  onUnopenedEnd(exchange: Exchange): void {
    this.#unopened.remove(exchange);
    if (this.#hasNested) unnest(exchange);
  }

  onRetired(exchange: Exchange): void {
    this.#retired.put(exchange);
  }

  onSettled({ response }: WebRecord): void {
    response.resolve();
  }

  /** The requests whose answers are not complete. */
  get records(): readonly WebRecord[] {
    const found: Exchange[] = [];
    for (let child = this.node.first; child !== undefined; child = child.next) {
      const { observer } = child;
      if (observer instanceof Exchange) found.push(observer);
      else if (observer instanceof RequestRecord) found.push(observer.response);
    }
    return [...found, ...this.#lateRequests].map(({ record }) => record).filter(({ isDone }) => !isDone);
  }
}

/** The slot of a request: its exchange. */
interface RequestSlot {
  [exchangeKey]?: Exchange | undefined;
}

/** In ms. A timer that fires a thousand times a second costs Bun and Deno a fifth of their requests. */
const WATCH_DELAY = 20;

/**
 * Calls back when unanswered requests should be watched. An earlier disconnect must still be visible then: in older
 * versions of node-server only during the same turn of the event loop. Bun and Deno also report it later, and a turn
 * would cost them more than all other work for a request.
 */
const scheduleWatch: (callback: () => void) => void =
  isBun || "Deno" in globalThis ? (callback) => setUnrefTimer(callback, WATCH_DELAY) : onTurn;

const exchangeKey: unique symbol = Symbol("bough.webRequest");

/** The exchange of a request that goes through `fetchBough`. */
export function exchangeOf(request: Request): Exchange | undefined {
  const exchange = (request as RequestSlot)[exchangeKey];
  if (exchange === undefined || isFor(exchange, request)) return innermost(exchange);
  return ((request as RequestSlot)[exchangeKey] = exchange.ended(request));
}

/** Whether an exchange that was found in the slot of `request` is still the one of that request. */
function isFor(exchange: Exchange, request: Request): boolean {
  const current = exchange.request as RequestSlot | undefined;
  if (current === request || !exchange.isReusable) return true;
  if (current === undefined) return false;
  // `request` may be a proxy of the current request, or inherit from it. Then it has the same slot.
  const found = current[exchangeKey];
  current[exchangeKey] = undefined;
  const isSame = (request as RequestSlot)[exchangeKey] === undefined;
  current[exchangeKey] = found;
  return isSame;
}
