import type { CancelledError } from "../errors/cancelled.js";
import { workKind } from "../errors/scope-errors.js";
import { effectiveDeadline, setDeadline } from "../kernel/deadline.js";
import { isTimedOut, markAnswered, markClosedByOwner, markCutShort } from "../kernel/state.js";
import type { Hook } from "../kernel/cancel-hooks.js";
import type { ScopeNode } from "../kernel/node.js";
import type { Observer } from "../kernel/observer.js";
import { afterMicrotasks, onTurn } from "../kernel/platform.js";
import { bodyReturned, cancel, fail } from "../kernel/lifecycle.js";
import { LongTimer } from "../kernel/long-timer.js";
import { notifiesHandler } from "./scope-activity.js";
import type { AnyRequest, AnyResponse } from "./messages.js";
import {
  brokenOffOutcome,
  failureBehind,
  outcomeOf,
  reportUnreceived,
  type CancelledOutcome,
} from "./outcome.js";
import {
  printHookFailure,
  unanswered,
  wasLogged,
  type Endable,
  type AnswerStatus,
  type Responder,
} from "./responder.js";
import { settlesWithin } from "./timed-waits.js";

// One request with a scope, from the opening of the scope to the end of its response: how it ends, and with which
// outcome. Its `Responder` sends the answer; open-request.ts detects the close of the response.
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
/** The same after a shutdown, which leaves at least a second for cleanup. */
const MAX_SILENCE_AT_SHUTDOWN = 500;
/** How long the application's `respond` may take, in ms. */
const MAX_RESPOND = 1_000;
/** How often to check whether a handler is silent, in ms. */
const SILENCE_CHECK_INTERVAL = 50;

/** The server of a request. */
export interface RequestHost<Request extends object, Response extends Endable> {
  /** Creates the responder of a request, if its framework has not set one. */
  createResponder(request: Request, response: Response): Responder;
  /** Called when the response of a request is done. */
  onDone(record: RequestRecord<Request, Response>): void;
  /** Called when everything in the scope of a request has ended. */
  onSettled?(record: RequestRecord<Request, Response>): void;
}

/**
 * A request with a scope, in one object: the hook that runs when the scope is cancelled, and the observer that receives
 * its outcome. The body of the scope lasts until the response is done.
 *
 * Not a subclass, because V8 does not inline the constructor of a subclass, and every request creates a record.
 */
export class RequestRecord<Request extends object = AnyRequest, Response extends Endable = AnyResponse>
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
  upgradedSocket: Endable | undefined = undefined;
  /** Whether the scope is named by method and path, since the route was not known. */
  hasDefaultName = false;
  /** Finds the name of the route, if the scope was created before the route was known. */
  resolveName: (() => string | undefined) | undefined = undefined;
  readonly #host: RequestHost<Request, Response>;
  #responder: Responder | undefined;
  #isDone = false;
  /** Whether an answer has been given in the handler's place. */
  #isAnswered = false;
  #isCutOff = false;
  /** Whether the application's `respond` is running. */
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

  /** What reports call the body of the scope. */
  get bodyKind(): "response" | "client" {
    return this.responder.hasEnded
      ? workKind("client", "its answer has not reached the client")
      : unanswered();
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

  /** Whether an answer of the handler was broken off. */
  get isCutOff(): boolean {
    return this.#isCutOff;
  }

  /** Whether only the answer has to be finished and sent. */
  get isAnswering(): boolean {
    return this.#isResponding || this.responder.hasEnded;
  }

  /** Created on the first use: most requests are answered by their handler. */
  get responder(): Responder {
    return (this.#responder ??= this.#host.createResponder(this.request, this.response));
  }

  set responder(responder: Responder) {
    this.#responder = responder;
  }

  /** Names the scope after its route, once that is known. */
  updateName(): void {
    const name = this.resolveName?.();
    if (name === undefined) return;
    this.node.label = name;
    this.resolveName = undefined;
  }

  /** Limits the request to `timeout` ms from now. Returns false if less time is left, or the request has ended. */
  limit(timeout: number): boolean {
    const { node } = this;
    const own = node.extras?.settings;
    if (node.cancelled || this.#isDone || (own?.deadline !== undefined && own.deadline.left <= timeout))
      return false;
    own?.deadlineTimer?.clear();
    setDeadline(node, timeout);
    return true;
  }

  /** The status after the deadline: 504 if the caller has set it, otherwise 503. */
  get deadlineStatus(): 503 | 504 {
    return this.hasIncomingDeadline && isTimedOut(this.node) ? 504 : 503;
  }

  get isUploadStopped(): boolean {
    return this.#isAnswered && (this.request as { readonly aborted?: boolean }).aborted === true;
  }

  /** Ends the body of the scope: the response has closed, or will never be sent. */
  done(): void {
    const { node } = this;
    if (this.#isDone) return;
    this.#isDone = true;
    if (this.resolveName !== undefined) this.updateName();
    if (!this.response.writableEnded && this.upgradedSocket?.writableEnded !== true) {
      this.ignoreSecondAnswer();
      cancel(node, "disconnected", undefined);
      markCutShort(node);
      // A response that was broken off here, or by the framework after a failure, is not a disconnect.
      if (this.#received === undefined && !this.#isCutOff) this.#log(brokenOffOutcome(this));
      this.responder.markDisconnected();
    } else if (this.#outcome !== undefined || this.#isAnswered) {
      // The scope ends with the status of the answer.
      if (node.cancelled) markAnswered(node);
      else fail(node, this.#outcome?.error);
    } else if (node.first !== undefined && !node.cancelled) {
      markClosedByOwner(node);
      cancel(node, "closed", undefined);
    }
    // A handler that answers with an error after a task has failed has received the failure.
    if (this.#failedEarly && !this.#isAnswered && this.responder.statusCode >= 500) this.receive(node.reason);
    this.#host.onDone(this);
    bodyReturned(node, undefined);
  }

  /** Runs when the scope is cancelled. The handler may answer first: its answer may be better. */
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
    } else if (!this.#isFromAbove() || (responder.isHandlerRunning !== true && notifiesHandler(this.node))) {
      this.watchHandler();
    }
  }

  /** Whether the cancellation began above the request, for example in the server's scope. */
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

  /** From now on, if the handler begins a second answer, the first one is cut off and no error is thrown. */
  ignoreSecondAnswer(): void {
    this.responder.ignoreSecondAnswer?.(() => this.#endForHandler());
  }

  /** Ends a cancelled request when its handler has been silent for too long. */
  watchHandler(): void {
    const { node, responder } = this;
    // An upgraded socket may stay open.
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
    // Either `respond` has begun an answer and does not end it, or the handler has failed without a cancellation.
    if (this.#isAnswered || !node.cancelled) return this.#cutOff();
    const outcome = outcomeOf(this, node.reason, responder.isDisconnected);
    if (outcome.status !== undefined) return this.#end(outcome);
    if (node.reason?.kind !== "failure") return this.#end(this.#outcomeOfReason());
    // The failure itself is reported when the scope settles, since no code has received it.
    if (this.#isAnswerable()) this.#answer(500);
    else this.#cutOff();
  }

  #outcomeOfReason(): CancelledOutcome {
    const { reason } = this.node;
    return { status: reason?.kind === "deadline" ? this.deadlineStatus : 503, error: reason };
  }

  /**
   * Answers in place of a handler that is stuck at the end of a shutdown. If it has begun an answer, breaks it off.
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

  /** Ends a request whose handler has failed with `outcome`. The first call counts. */
  end(outcome: CancelledOutcome): void {
    const { responder } = this;
    if (outcome.status === 499) {
      this.log(outcome);
      if (!responder.hasBegun) responder.statusCode = 499;
    } else if (!responder.hasEnded) {
      this.#end(outcome);
    }
  }

  /** Logs the outcome of a request that the handler or the framework answers. */
  log(outcome: CancelledOutcome): void {
    if (!this.responder.hasEnded) this.#log(outcome);
  }

  #log(outcome: CancelledOutcome, isStuck = false): void {
    if (this.#outcome !== undefined) return;
    this.#outcome = outcome;
    try {
      if (!wasLogged(this.request)) this.responder.log(outcome, isStuck);
    } catch (error) {
      printHookFailure(error); // a logger has failed: the client must be answered anyway
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
    this.#setAnswered(); // first: `respond` may call an error handler that passes the same error on
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

  /** Records that the framework has received `error`, so that it is not reported again. */
  receive(error: unknown): void {
    (this.#received ??= []).push(error, failureBehind(this.node, error));
  }

  ended(): void {}

  resolve(): void {
    this.#host.onSettled?.(this);
  }

  /** Called when the scope has settled with failures, or was cut short. */
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
