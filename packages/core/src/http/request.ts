import type { CancelledError } from "../errors/cancelled.js";
import { effectiveDeadline, setDeadline } from "../kernel/deadline.js";
import { isTimedOut, markAnswered, markClosedByOwner, markCutShort } from "../kernel/state.js";
import type { Hook } from "../kernel/cancel-hooks.js";
import type { ScopeNode } from "../kernel/node.js";
import type { Observer } from "../kernel/observer.js";
import { afterMicrotasks, onTurn } from "../kernel/platform.js";
import { isReturnedCancellation } from "../kernel/is-cancellation.js";
import { bodyReturned, cancel, fail } from "../kernel/lifecycle.js";
import { LongTimer } from "../kernel/long-timer.js";
import { reachesHandler } from "./scope-activity.js";
import type { AnyRequest, AnyResponse } from "./messages.js";
import { brokenOffOutcome, outcomeOf, reportUnreceived, type CancelledOutcome } from "./outcome.js";
import { printHookFailure, wasLogged, type Answer, type AnswerStatus, type Responder } from "./responder.js";
import { recordKey, responderKey } from "./symbols.js";
import { settlesWithin } from "./timed-waits.js";

// One request that has a scope, from the opening of the scope to the end of its response: who ends it, and with which
// outcome. Its `Responder` knows how to answer; open-request.ts listens for the close of the response.
//
//   running ──response.end()──────────────────────────────────────────────► done
//      │
//      ├─ the response closes before that: cancel "disconnected", 499 ─────► done
//      │
//      └─ the scope is cancelled ──► the handler may answer ──► done
//           "deadline"                 not at all: after this turn of the event loop, 503 or 504
//           a task's failure           until it has been silent for 1,000 ms, then 500
//           "shutdown", other          until it has been silent for 500 ms, then 503
//                                          │
//                                          ▼
//                                 the application's own answer (`respond`), or one in the framework's form;
//                                 if the answer has begun, the connection is broken off ──► done
//
// "Silent": no task of the scope is alive, and nothing is written to the response. In every state the first outcome is
// logged, once.

/** How long a handler has to answer by itself after a task's failure has cancelled its request, in ms. */
const MAX_SILENCE_AFTER_FAILURE = 1_000;
/** The same after a shutdown, which leaves a second at least for cleanup. */
const MAX_SILENCE_AT_SHUTDOWN = 500;
/** How long the application's `respond` may take, in ms. */
const MAX_RESPOND = 1_000;
/** How often to look whether a handler is silent, in ms. */
const SILENCE_CHECK_INTERVAL = 50;

/** The server of a request. */
export interface RequestHost<Request extends object, Response extends Answer> {
  /** Makes the responder of a request to which its framework has given none. */
  createResponder(request: Request, response: Response): Responder;
  /** Called when the response of a request is done. */
  onDone(record: RequestRecord<Request, Response>): void;
  /** Called when everything in the scope of a request has ended. */
  onSettled?(record: RequestRecord<Request, Response>): void;
}

/**
 * A request that has a scope, in one object: the hook that runs when the scope is cancelled, and the observer that
 * receives its outcome. The time until the response is done is the body of the scope.
 *
 * It is not a subclass: V8 does not inline the constructor of one into its caller, and every request makes a record.
 */
export class RequestRecord<Request extends object = AnyRequest, Response extends Answer = AnyResponse>
  implements Hook, Observer
{
  next: Hook | undefined = undefined;
  previous: Hook | undefined = this;
  readonly node: ScopeNode;
  readonly request: Request;
  readonly response: Response;
  /** Whether the deadline came with the request, from another server. */
  hasIncomingDeadline = false;
  /** The socket of an upgraded request whose framework has given it a response as well. */
  upgradedSocket: Answer | undefined = undefined;
  /** Whether the scope is named by method and path, as its route was not known. */
  hasDefaultName = false;
  /** Finds the name of the route, if the scope was named before that was known. */
  resolveName: (() => string | undefined) | undefined = undefined;
  readonly #host: RequestHost<Request, Response>;
  #responder: Responder | undefined;
  #isDone = false;
  /** Whether an answer has been given in the handler's place. */
  #isAnswered = false;
  /** Whether an answer had begun, and was broken off in the handler's place. */
  #isCutOff = false;
  /** Whether the application's own answer is being made. */
  #isResponding = false;
  #isWatched = false;
  /** The outcome that was logged. */
  #outcome: CancelledOutcome | undefined = undefined;
  /** Whether a task failed before the response had begun. */
  #failedEarly = false;
  /** The failures that the framework has received. */
  #received: unknown[] | undefined = undefined;

  constructor(
    node: ScopeNode,
    request: Request,
    response: Response,
    host: RequestHost<Request, Response>,
    responder: Responder | undefined,
  ) {
    this.node = node;
    this.request = request;
    this.response = response;
    this.#host = host;
    this.#responder = responder;
  }

  /** To its scope, the time until the response is done is the body. */
  get bodyKind(): "response" | "client" {
    return this.responder.hasEnded ? "client" : "response";
  }

  /** A request may be below a scope whose body has nothing to do with it. */
  get isAwaited(): boolean {
    return false;
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  get isAnswered(): boolean {
    return this.#isAnswered;
  }

  /** Whether nothing is left to do but to finish and send the answer. */
  get isAnswering(): boolean {
    return this.#isResponding || this.responder.hasEnded;
  }

  /** Made when it is first needed: most requests are answered by their handler. */
  get responder(): Responder {
    return (this.#responder ??= this.#host.createResponder(this.request, this.response));
  }

  set responder(responder: Responder) {
    this.#responder = responder;
  }

  /** Names the scope after its route, if it was named before the route was known. */
  updateName(): void {
    const name = this.resolveName?.();
    if (name === undefined) return;
    this.node.label = name;
    this.resolveName = undefined;
  }

  /** Limits the request to `timeout` ms from now. Returns false if it has less time left, or has ended. */
  limit(timeout: number): boolean {
    const { node } = this;
    const own = node.extras?.settings;
    if (node.cancelled || this.#isDone || (own?.deadline !== undefined && own.deadline.left <= timeout))
      return false;
    own?.deadlineTimer?.clear();
    setDeadline(node, timeout);
    return true;
  }

  /** The status for a passed deadline: 504 if it is the caller's, otherwise 503. */
  get deadlineStatus(): 503 | 504 {
    return this.hasIncomingDeadline && isTimedOut(this.node) ? 504 : 503;
  }

  /** The response has closed, or never will be sent: the end of the body of the scope. */
  done(): void {
    const { node } = this;
    if (this.#isDone) return;
    this.#isDone = true;
    if (this.resolveName !== undefined) this.updateName();
    if (!this.response.writableEnded && this.upgradedSocket?.writableEnded !== true) {
      this.ignoreSecondAnswer();
      cancel(node, "disconnected", undefined);
      markCutShort(node);
      // A response that was broken off here, or by the framework after a failure, does not mean that the client has gone.
      if (this.#received === undefined && !this.#isCutOff) this.#log(brokenOffOutcome(this));
      this.responder.markDisconnected();
    } else if (this.#outcome !== undefined || this.#isAnswered) {
      // So that the scope ends like the answer.
      if (node.cancelled) markAnswered(node);
      else fail(node, this.#outcome?.error);
    } else if (node.first !== undefined && !node.cancelled) {
      markClosedByOwner(node);
      cancel(node, "closed", undefined);
    }
    // A handler that answers with an error after a task has failed has received the failure, or its consequence.
    if (this.#failedEarly && !this.#isAnswered && this.responder.statusCode >= 500) this.receive(node.reason);
    this.#host.onDone(this);
    bodyReturned(node, undefined);
  }

  /** Runs when the scope is cancelled. The handler goes first: it may have a better answer. */
  run(reason: CancelledError): void {
    if (this.#isDone) return;
    const { responder } = this;
    if (reason.kind === "failure" && responder.expectsAnswer) this.#failedEarly = !responder.hasBegun;
    this.ignoreSecondAnswer();
    responder.onCancelled?.();
    if (reason.kind === "deadline") {
      onTurn(() => {
        if (this.#isAnswerable()) this.#end(this.#outcomeOfReason());
        else this.watchHandler();
      });
    } else if (!this.#isFromAbove() || (responder.isHandlerRunning !== true && reachesHandler(this.node))) {
      this.watchHandler();
    }
  }

  /** Whether the server's scope was cancelled, or a scope above it. */
  #isFromAbove(): boolean {
    const { parent, reason } = this.node;
    return parent?.reason === reason;
  }

  #isUpgraded(): boolean {
    return this.upgradedSocket !== undefined && this.responder.isHijacked === true;
  }

  #isAnswerable(): boolean {
    return this.responder.isAnswerable && !this.#isUpgraded();
  }

  /** From now on a handler that fails in the middle of its answer may begin another one: the first one is cut off then. */
  ignoreSecondAnswer(): void {
    this.responder.ignoreSecondAnswer?.(() => this.#endForHandler());
  }

  /** Ends a cancelled request when its handler has been silent for too long. */
  watchHandler(): void {
    const { node, responder } = this;
    // An upgraded socket stays open as long as its peers want.
    if (this.#isWatched || !responder.expectsAnswer || this.#isUpgraded()) return;
    this.#isWatched = true;
    let maxSilence = this.#isFromAbove() ? MAX_SILENCE_AT_SHUTDOWN : MAX_SILENCE_AFTER_FAILURE;
    if (!responder.hasBegun)
      maxSilence = Math.min(maxSilence, Math.max(0, effectiveDeadline(node)?.left ?? Infinity));
    responder.isSending(); // from now on
    let silent = 0;
    const look = (): void => {
      if (this.#isDone || responder.hasEnded) return;
      const isSending = responder.isSending();
      silent = isSending || node.first !== undefined ? 0 : silent + SILENCE_CHECK_INTERVAL;
      if (silent < maxSilence) return void new LongTimer(SILENCE_CHECK_INTERVAL, look);
      this.#isWatched = false;
      this.#endForHandler();
    };
    new LongTimer(SILENCE_CHECK_INTERVAL, look);
  }

  #endForHandler(): void {
    const { node, responder } = this;
    // Either `respond` has begun an answer and does not end it, or the handler has failed by itself.
    if (this.#isAnswered || !node.cancelled) return this.#cutOff();
    const outcome = outcomeOf(this, node.reason, responder.isDisconnected);
    if (outcome.status !== undefined) return this.#end(outcome);
    if (node.reason?.kind !== "failure") return this.#end(this.#outcomeOfReason());
    // The failure itself is reported when the scope settles, because no code has received it.
    if (this.#isAnswerable()) this.#answer(500);
    else this.#cutOff();
  }

  #outcomeOfReason(): CancelledOutcome {
    const { reason } = this.node;
    return { status: reason?.kind === "deadline" ? this.deadlineStatus : 503, error: reason };
  }

  /**
   * Answers in the place of a handler that is stuck at the end of a shutdown, or breaks the answer off that it has begun.
   *
   * @returns Whether an answer was given.
   */
  answer(status: 503): boolean {
    const outcome: CancelledOutcome = { status, error: this.node.reason };
    if (this.#isAnswerable()) {
      this.#end(outcome, true);
      return true;
    }
    this.#log(outcome, true);
    this.#cutOff();
    return false;
  }

  #cutOff(): void {
    if (this.#isDone || this.responder.hasEnded) return;
    this.#isCutOff = true;
    this.responder.cutOff();
  }

  /** Ends the request with `outcome`, which its handler's failure stands for. The first call counts. */
  end(outcome: CancelledOutcome): void {
    const { responder } = this;
    if (outcome.status === 499) {
      this.log(outcome);
      if (!responder.hasBegun) responder.statusCode = 499;
    } else if (!responder.hasEnded) {
      this.#end(outcome);
    }
  }

  /** Logs the outcome of a request that its handler, or the framework, ends with it. */
  log(outcome: CancelledOutcome): void {
    if (!this.responder.hasEnded) this.#log(outcome);
  }

  #log(outcome: CancelledOutcome, isStuck = false): void {
    if (this.#outcome !== undefined) return;
    this.#outcome = outcome;
    try {
      if (!wasLogged(this.request)) this.responder.log(outcome, isStuck);
    } catch (error) {
      printHookFailure(error); // of a logger: the client has to be answered all the same
    }
  }

  #end(outcome: CancelledOutcome, isStuck = false): void {
    const { responder } = this;
    if (this.#isAnswered) return;
    this.#log(outcome, isStuck);
    if (!this.#isAnswerable()) return this.#cutOff();
    const status = outcome.status === 504 ? 504 : 503;
    const { respond } = responder;
    if (respond === undefined) return this.#answer(status);
    this.#setAnswered(); // first: an error handler that `respond` calls may pass the same error on
    this.#isResponding = true;
    void settlesWithin(MAX_RESPOND, respond(outcome)).then(() => {
      this.#isResponding = false;
      if (responder.hasEnded) responder.stopUpload();
      if (responder.isAnswerable) responder.answer(status);
      else if (!responder.hasEnded && responder.hasBegun) this.watchHandler();
    });
  }

  #answer(status: AnswerStatus): void {
    this.responder.answer(status);
    this.#setAnswered();
  }

  #setAnswered(): void {
    this.#isAnswered = true;
    this.responder.onAnswered?.();
  }

  /** Notes that the framework has received `error` from the handler, so that it is not reported again. */
  receive(error: unknown): void {
    const { reason } = this.node;
    (this.#received ??= []).push(error);
    if (reason?.kind === "failure" && isReturnedCancellation(this.node, error))
      this.#received.push(reason.cause);
  }

  ended(): void {}

  resolve(): void {
    this.#host.onSettled?.(this);
  }

  /** The scope has settled, and has failures or was cut short. */
  reject(): void {
    this.#host.onSettled?.(this);
    const { node } = this;
    const errors = node.extras?.errors;
    if (errors === undefined) return;
    afterMicrotasks(() => {
      for (const [error, origin] of errors) {
        if (this.#received?.includes(error) === true || error === this.#outcome?.error) continue;
        reportUnreceived(node, error, origin);
      }
    });
  }
}

/** The slots of a request. See symbols.ts. */
interface RequestSlots {
  [recordKey]?: RequestRecord | undefined;
  [responderKey]?: Responder;
}

/** The record of a request, if its scope has been made. */
export function recordOf(request: AnyRequest): RequestRecord | undefined {
  return (request as RequestSlots)[recordKey];
}

export function setRecord(request: AnyRequest, record: RequestRecord): void {
  (request as RequestSlots)[recordKey] = record;
}

/** The responder that a framework has given to a request. */
export function responderOf(request: AnyRequest): Responder | undefined {
  return (request as RequestSlots)[responderKey];
}

/** Gives a request the responder of its framework. */
export function setResponder(request: AnyRequest, responder: Responder): void {
  const slots = request as RequestSlots;
  slots[responderKey] = responder;
  const record = slots[recordKey];
  if (record === undefined) return;
  record.responder = responder;
  if (record.hasDefaultName && responder.name !== undefined) record.node.label = responder.name;
}
