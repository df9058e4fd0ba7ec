import { isThenable } from "../errors/user-values.js";
import { expireCoarseTime, reuseReading } from "../kernel/monotonic-clock.js";
import { isListening } from "../kernel/diagnostics.js";
import { bodyReturned } from "../kernel/lifecycle.js";
import type { ScopeNode } from "../kernel/node.js";
import { isBun, onTurn } from "../kernel/platform.js";
import { ignore, withResolvers, type Observer, type PromiseObserver } from "../kernel/observer.js";
import { nativeThen } from "../task/worker.js";
import { isIdle } from "../http/scope-activity.js";
import { isBrokenUpload } from "../http/disconnect-errors.js";
import type { RequestRecord } from "../http/request.js";
import { reportUnreceived, type CancelledOutcome, type RequestOutcome } from "../http/outcome.js";
import { callHook, unanswered, type Endable, type AnswerStatus, type Responder } from "../http/responder.js";
import { isComplete } from "./complete-body.js";
import type { Listed } from "./exchange-list.js";
import { endedAtReturn } from "./ended-scope.js";
import { BodyRelay, type Peeked } from "./body.js";
import { answerWith, discard, disconnected, isUpgrade, statusOf, withBody } from "./responses.js";
import { answerMaker } from "./hooks.js";
import { whenClientLeaves } from "./client-signal.js";
import { followConnection } from "./pipelined.js";
import { nameOfRequest } from "./request-name.js";
import { failureOutcome, sendBody, SentBody } from "./sending.js";
import type { ExchangeHost } from "./exchange-host.js";
import { followInBun } from "./handler-reactions.js";
import { callApp, callHandler, type AnyApp, type AnyHandler, type HostArguments } from "./host-arguments.js";

// One request of a fetch-style host: from the call of its handler to the end of the body of its response.
//
//   running ──the handler returns──► a body that takes time, in a scope that is in use ──────────► sending ──► ended
//      │                └──────────► anything else ───────────────────────────────────────────────────────────► ended
//      ├──the handler fails────────► 499, 503, 504, or the failure itself ────────────────────────────────────► ended
//      ├──an answer in its place───► 500, 503, 504 ───────────────────────────────────────────────────────────► ended
//      └──the client leaves────────► the scope ends; the handler's promise is awaited, and becomes 499
// `request.signal` counts in the state "running" only: Deno and Hono abort it after a success, Bun when a WebSocket closes.

/** The record of a request that has an exchange. */
export type WebRecord = RequestRecord<Request, Exchange>;
type Host = ExchangeHost<Exchange, WebRecord>;

/**
 * The response of one request, and the responder that answers in the handler's place.
 *
 * Most requests are answered before the turn of the event loop is over, and their scopes are not in use. They need no
 * record: until there is one, the exchange is the observer of its scope. An application that is called without the scope
 * may never ask for it: then it is not made.
 */
export class Exchange implements Responder, Endable, Observer, Listed {
  request: Request;
  /** What the host passed after the request. */
  hostArguments: HostArguments;
  /** Its neighbours in the list that it is in; see `exchange-list.ts`. */
  later: Listed | undefined = undefined;
  earlier: Listed | undefined = undefined;
  /** Whether it may be used for another request if the scope of this one was never read; see `reuse-pool.ts`. */
  isReusable = false;
  readonly #host: Host;
  /** The owner handle of the server, until the host has the response. Then the stream of its body holds the handle. */
  #owner: object | undefined;
  #node: ScopeNode | undefined = undefined;
  #record: WebRecord | undefined = undefined;
  /** The promise that the host receives, and what settles it. An application may return before they are needed. */
  #hostPromise: PromiseObserver<unknown> | undefined = undefined;
  #stopListening: (() => void) | undefined = undefined;
  #relay: BodyRelay | undefined = undefined;
  /** `called`: it has not got to its first `await`, and the scopes that it opens begin with its own. `returned`: or failed. */
  #handler: "called" | "running" | "returned" = "called";
  /** `begun`: it is being prepared for the host. `settled`: the host has it. `ended`: it has been sent. */
  #response: "none" | "begun" | "settled" | "ended" = "none";
  #isDisconnected = false;
  /** Called when everything in the scope has ended. */
  #onScopeEnd: () => void = ignore;
  statusCode = 0;

  constructor(request: Request, rest: HostArguments, host: Host, owner: object) {
    this.request = request;
    this.hostArguments = rest;
    this.#host = host;
    this.#owner = owner;
  }

  /** Begins with another request, after {@link retire}. */
  reuse(request: Request, rest: HostArguments, owner: object): void {
    this.request = request;
    this.hostArguments = rest;
    this.#owner = owner;
    this.#handler = "called";
    this.#response = "none";
  }

  /** The request has been answered. If its scope was never read, this exchange may be used for another one. */
  retire(): void {
    if (!this.isReusable || this.#node !== undefined) return;
    this.request = this.hostArguments = undefined as never;
    this.#hostPromise = undefined;
    this.statusCode = 0;
    this.#host.onRetired(this);
  }

  /** The exchange of a request that this one was used for, before it was retired. */
  ended(request: Request): Exchange {
    const exchange = new Exchange(request, undefined as never, this.#host, this);
    exchange.#endHandler();
    exchange.settle(undefined);
    exchange.#response = "ended";
    return exchange;
  }

  /** The default name of the scope. */
  get name(): string {
    return nameOfRequest(this.request);
  }

  /** The scope of the request. Opened on the first read, if the handler was called without it. */
  get node(): ScopeNode {
    return this.#node ?? this.open();
  }

  get record(): WebRecord {
    const node = this.#node ?? this.open();
    return (this.#record ??= this.#host.makeRecord(this, node));
  }

  open(): ScopeNode {
    expireCoarseTime(); // another request may have held the event loop up
    const node = this.#host.makeNode(this);
    if (this.#handler === "called") {
      reuseReading();
      this.#makeHostPromise(); // from now on, the request may be answered in the handler's place
    }
    this.#node = node;
    this.#host.onOpened(this);
    return node;
  }

  // ---- the scope

  get bodyKind(): "response" {
    return unanswered();
  }

  get isAwaited(): boolean {
    return false;
  }

  resolve(): void {
    this.#onScopeEnd();
  }

  reject(): void {
    this.record.reject();
  }

  /** Resolves when everything in the scope has ended. */
  settled(): Promise<void> {
    return new Promise((resolve) => (this.#onScopeEnd = resolve));
  }

  // ---- the handler

  /** Calls the handler. Returns what the host receives. */
  run(handler: AnyHandler, self: unknown): Promise<unknown> {
    try {
      const result = callHandler(handler, self, this.request, this.node, this.hostArguments);
      if (isThenable(result)) this.#follow(result);
      else this.onReturn(result);
    } catch (error) {
      this.onFailure(error);
    }
    return this.#wasCalled(this.#makeHostPromise().promise);
  }

  /** As {@link run}, for an application, which is called without the scope. */
  runApp(app: AnyApp): Promise<unknown> {
    try {
      const result = callApp(app, this.request, this.hostArguments);
      if (isThenable(result)) {
        const { promise } = this.#makeHostPromise(); // first: a thenable may call back at once
        this.#follow(result);
        return this.#wasCalled(promise);
      }
      this.onReturn(result);
      if (this.#node === undefined) return this.#wasCalled(Promise.resolve(result));
    } catch (error) {
      this.onFailure(error);
    }
    return this.#wasCalled(this.#makeHostPromise().promise);
  }

  #wasCalled(promise: Promise<unknown>): Promise<unknown> {
    if (this.#handler === "called") this.#handler = "running";
    else this.#node?.dropWorker(); // Bun forgets the URL of a request that is answered at once
    expireCoarseTime();
    return promise;
  }

  #follow(result: PromiseLike<unknown>): void {
    // oxlint-disable-next-line typescript/unbound-method -- only its identity matters
    if (isBun && result instanceof Promise && result.then === nativeThen) return followInBun(this, result);
    result.then(
      (value) => this.onReturn(value),
      (error: unknown) => this.onFailure(error),
    );
  }

  #makeHostPromise(): PromiseObserver<unknown> {
    return (this.#hostPromise ??= withResolvers<unknown>());
  }

  /** Answers a request whose handler is not called. */
  refuse(): Promise<unknown> {
    this.#handler = "returned";
    this.#makeHostPromise();
    this.record.end({ status: 503, error: this.node.reason });
    return this.#wasCalled(this.#makeHostPromise().promise);
  }

  /** Ends the request on a disconnect while the handler runs. */
  watchClient(): void {
    if (!this.isHandlerRunning || this.record.isDone) return;
    followConnection(this.request, this.hostArguments);
    this.#stopListening = whenClientLeaves(this.request, () => this.#onClientDisconnect());
  }

  #onClientDisconnect(): void {
    if (!this.isHandlerRunning) return;
    this.onDisconnect();
    // `respond` is making the answer, which will be discarded, as is what the handler returns.
    if (this.record.isAnswered && !this.#isSettled()) this.settle(disconnected());
  }

  onReturn(value: unknown): void {
    this.#endHandler();
    if (this.#node === undefined || this.#isFinishedBy(value)) return this.finish(value);
    const { record } = this;
    if (this.#isSettled() || record.isAnswered) return discard(value);
    if (isUpgrade(value)) return this.finish(value);
    if (this.isDisconnected) {
      discard(value);
      return this.settle(disconnected());
    }
    this.statusCode = statusOf(value);
    const response = isComplete(value) ? undefined : withBody(this.request.method, value);
    if (response === undefined) return this.finish(value);
    this.#response = "begun";
    sendBody(this, response).catch((error: unknown) => this.onFailure(error));
  }

  /** Whether the request ends with the response `value`: there is nothing else to wait for. */
  #isFinishedBy(value: unknown): boolean {
    const { node } = this;
    if (this.#isSettled() || node.cancelled) return false;
    return isIdle(node, this.#record) || (node.first === undefined && isComplete(value));
  }

  onFailure(error: unknown): void {
    const outcome = this.outcomeOf(error);
    this.#endHandler();
    const { record } = this;
    if (this.#isSettled() || record.isAnswered) {
      if (outcome.status === undefined) reportUnreceived(record.node, outcome.error, record.node);
      return;
    }
    record.receive(error);
    if (outcome.status === undefined) {
      this.statusCode = 500;
      this.#owner = undefined;
      this.#hostPromise?.reject(outcome.error);
      return this.end();
    }
    record.log(outcome);
    if (this.isDisconnected || outcome.status === 499) {
      this.statusCode = 499;
      this.settle(disconnected());
      return this.end();
    }
    record.end(outcome);
  }

  /** The outcome that the failure of the handler means. */
  outcomeOf(error: unknown): RequestOutcome {
    if (this.#stopListening === undefined) this.watchClient(); // a disconnect may not have been detected yet
    if (isBrokenUpload(error)) this.#onClientDisconnect();
    return failureOutcome(this, error, this.#isDisconnected);
  }

  #endHandler(): void {
    this.#handler = "returned";
    this.#stopListening?.();
    this.#stopListening = undefined;
  }

  // ---- the body

  /** Starts the stream that replaces the body. It keeps the owner handle alive. */
  relay(peeked: Peeked): ReadableStream {
    this.#relay = new BodyRelay(peeked, new SentBody(this));
    return this.#relay.open(this.#owner);
  }

  onDisconnect(): void {
    this.#isDisconnected = true;
    this.record.done();
  }

  // ---- the end

  #isSettled(): boolean {
    return this.#response === "settled" || this.#response === "ended";
  }

  /** Passes a complete response to the host, or one that it will not send. */
  finish(value: unknown): void {
    if (isListening()) this.statusCode = statusOf(value); // for the inspector
    this.settle(value);
    this.end();
  }

  settle(value: unknown): void {
    if (this.#response !== "ended") this.#response = "settled";
    this.#owner = undefined;
    this.#hostPromise?.resolve(value);
    if (this.#relay !== undefined) this.#hostPromise = undefined; // it holds the response, and with it the stream
  }

  end(): void {
    this.#response = "ended";
    if (this.#record !== undefined) return this.#record.done();
    if (this.#node === undefined) return this.#host.onUnopenedEnd(this);
    bodyReturned(this.node, undefined);
    this.node.observer ??= endedAtReturn;
    this.#host.onEnd(this);
  }

  get writableEnded(): boolean {
    return this.#response === "ended";
  }

  // ---- answers in the handler's place

  get isAnswerable(): boolean {
    return !this.hasBegun && !this.isDisconnected;
  }

  get hasBegun(): boolean {
    return this.#response !== "none";
  }

  get hasEnded(): boolean {
    return this.#response === "ended";
  }

  get isDisconnected(): boolean {
    return this.#isDisconnected;
  }

  get expectsAnswer(): boolean {
    return true;
  }

  get isHandlerRunning(): boolean {
    return this.#handler !== "returned";
  }

  isSending(): boolean {
    return this.#relay?.isSending() ?? false;
  }

  answer(status: AnswerStatus): void {
    this.#answerBy(answerWith(status));
  }

  #answerBy(response: unknown): void {
    if (!this.isAnswerable) return discard(response);
    this.statusCode = statusOf(response);
    this.#response = "ended";
    this.settle(response);
    onTurn(() => this.record.done()); // after the record has recorded the answer
  }

  get respond(): ReturnType<typeof answerMaker> {
    return answerMaker(this.#host.hooks, this.request, (response) => this.#answerBy(response));
  }

  cutOff(): void {
    this.#relay?.breakOff(this.node.reason);
    this.record.done();
  }

  /** An upload belongs to the host, which stops it when the response is complete. */
  stopUpload(): void {}

  log(outcome: CancelledOutcome, _isStuck: boolean): void {
    void callHook(this.#host.hooks?.onCancelled, outcome, this.request, undefined);
  }

  markDisconnected(): void {
    if (!this.hasBegun) this.statusCode = 499; // otherwise the status has been sent
  }
}
