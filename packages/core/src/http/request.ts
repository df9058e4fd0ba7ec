import type { Duplex } from "node:stream";
import type { CancelledError } from "../errors/cancelled.js";
import { effectiveDeadline, setDeadline } from "../kernel/deadline.js";
import { ANSWERED, CLOSED_BY_OWNER, CUT, DELIVERED, TASK, TIMED_OUT } from "../kernel/state.js";
import { CallbackHook, type Hook } from "../kernel/cancel-hooks.js";
import type { ScopeNode } from "../kernel/node.js";
import type { Observer } from "../kernel/promised.js";
import { afterMicrotasks, onTurn } from "../kernel/platform.js";
import { hasReceiver, report } from "../kernel/outcome.js";
import { bodyReturned, cancel, fail, judge } from "../kernel/lifecycle.js";
import { answer, cutOff, isAnswerable, isSaid, leaveUpload, stopUpload } from "./answer.js";
import { ignoreLateAnswer, markGone, recordKey, responderKey } from "./symbols.js";
import { outcomeOf, type CancelledOutcome } from "./outcome.js";
import { HooksResponder, printHookFailure, type Responder } from "./responder.js";
import type { ServerState } from "./server-state.js";
import { awaitSilence } from "./silence.js";
import { isResponse, type AnyRequest, type AnyResponse } from "./messages.js";
import { within } from "./within.js";

/** How long a handler has to answer by itself after a task's failure has cancelled its request, in ms. */
const PATIENCE_AFTER_FAILURE = 1_000;
/** The same after a shutdown has: what it gives at least for clean-up is a second. */
const PATIENCE_AT_SHUTDOWN = 500;
/** How long the application's `respond` may take. */
const MAX_RESPOND = 1_000;

/**
 * One request that has a scope, in one object: the hook that its cancellation runs, and the observer that gets its
 * outcome. To its scope, the time until the response is done is the body.
 *
 * No subclass: V8 does not compile the making of one into its caller, and every request makes one.
 */
export class RequestRecord implements Hook, Observer {
  next: Hook | undefined = undefined;
  previous: Hook | undefined = this;
  readonly node: ScopeNode;
  readonly request: AnyRequest;
  readonly response: AnyResponse;
  /** The framework's, if it has an integration. */
  responder: Responder | undefined = undefined;
  /** The deadline came with the request, from another server. */
  travelled = false;
  /** The socket of an upgraded request that has a response all the same. */
  upgraded: Duplex | undefined = undefined;
  /** Named by method and path, for want of something better. */
  hasDefaultName = false;
  /** Gives the scope its name when the route is known, if it was asked for before. */
  rename: (() => string | undefined) | undefined = undefined;
  readonly #server: ServerState | undefined;
  #done = false;
  /** Answered in the handler's place. */
  #answered = false;
  /** The application's own answer is being made. */
  #isResponding = false;
  /** Its answer had begun, and was broken off in the handler's place. */
  #isCutOff = false;
  #outcome: CancelledOutcome | undefined = undefined;
  /** The first failure, of a task, came when the response had not begun. */
  #failedFirst = false;
  #received: unknown[] | undefined = undefined;

  constructor(node: ScopeNode, request: AnyRequest, response: AnyResponse, server: ServerState | undefined) {
    this.node = node;
    this.request = request;
    this.response = response;
    this.#server = server;
  }

  /** To its scope, the time until the response is done is the body. */
  get bodyIs(): "response" | "client" {
    return isSaid(this.response) ? "client" : "response";
  }

  /** A request may be below a scope whose body has nothing to do with it. */
  get isAwaited(): boolean {
    return false;
  }

  get isDone(): boolean {
    return this.#done;
  }

  /** Answered in the handler's place. */
  get answered(): boolean {
    return this.#answered;
  }

  /** Whether the handler, or somebody in its place, is done but for what remains to be sent. */
  get isAnswering(): boolean {
    return this.#isResponding || isSaid(this.response);
  }

  /** The response is done, or never will be. */
  done(): void {
    if (this.#done) return;
    this.#done = true;
    const { node, response } = this;
    if (this.rename !== undefined) this.nameAgain();
    if (!response.writableEnded && this.upgraded?.writableEnded !== true) {
      cancel(node, "disconnected", undefined);
      node.flags |= CUT;
      // One that was broken off here, or by the framework because of a failure it has got, is not one whose client has gone.
      if (this.#received === undefined && !this.#isCutOff) this.#note({ status: 499, error: node.reason });
      markGone(response);
    } else if (this.#outcome !== undefined || this.#answered) {
      // So that whoever watches the scope hears what the client was told.
      if (node.cancelled) node.flags |= ANSWERED;
      else fail(node, this.#outcome?.error);
    } else if (node.first !== undefined && !node.cancelled) {
      node.flags |= CLOSED_BY_OWNER;
      cancel(node, "closed", undefined);
    }
    // A handler that answers with an error once a task has failed has got the failure, or what followed from it.
    if (this.#failedFirst && !this.#answered && isResponse(response) && response.statusCode >= 500)
      this.receive(node.reason);
    this.#server?.closed(this);
    bodyReturned(node, undefined);
  }

  /** Gives the scope the name of its route, if that is known by now and was not when the name was asked for. */
  nameAgain(): void {
    const name = this.rename?.();
    if (name === undefined) return;
    this.node.label = name;
    this.rename = undefined;
  }

  /** Bounds the request further, to `timeout` ms from now. More than it has left changes nothing. */
  bound(timeout: number): boolean {
    const { node } = this;
    const own = node.rarely?.settings;
    if (node.cancelled || this.#done || (own?.deadline !== undefined && own.deadline.left <= timeout))
      return false;
    own?.deadlineTimer?.clear();
    setDeadline(node, timeout);
    return true;
  }

  statusOfDeadline(): 503 | 504 {
    return this.travelled && (this.node.flags & TIMED_OUT) !== 0 ? 504 : 503;
  }

  /** Runs when the scope is cancelled. The handler goes first: it may have a better answer. */
  run(reason: CancelledError): void {
    if (this.#done) return;
    const { response } = this;
    if (reason.kind === "failure" && isResponse(response)) this.#failedFirst = !response.headersSent;
    this.#responder?.beforeFailure?.();
    if (reason.kind === "deadline") {
      onTurn(() => {
        if (this.#isAnswerable()) this.#conclude(this.#outcomeOfReason());
        else this.watch();
      });
    } else if (!this.#isFromAbove() || (this.#responder?.seesHandler !== true && this.#hears())) {
      this.watch();
    }
  }

  /** It is the server's scope that was cancelled, or one above. */
  #isFromAbove(): boolean {
    const { parent, reason } = this.node;
    return parent?.reason === reason;
  }

  #isUpgraded(): boolean {
    return this.upgraded !== undefined && this.#responder?.isHijacked === true;
  }

  #isAnswerable(): boolean {
    return isAnswerable(this.request, this.response) && !this.#isUpgraded();
  }

  /** Whether a promise of the handler's is rejected by the cancellation. One that nobody tells is stuck rather than done. */
  #hears(): boolean {
    const { hooks, rarely, first } = this.node;
    if (rarely?.controller !== undefined || first !== undefined) return true;
    for (let hook = hooks; hook !== undefined; hook = hook.next)
      if (!(hook instanceof CallbackHook)) return true;
    return false;
  }

  /** Answers in the place of a handler that leaves its cancelled request without an end. */
  watch(): void {
    const { node, response } = this;
    // An upgraded socket is open as long as its peers want.
    if (!isResponse(response) || this.#isUpgraded()) return;
    const patience = this.#isFromAbove() ? PATIENCE_AT_SHUTDOWN : PATIENCE_AFTER_FAILURE;
    const left = Math.max(0, effectiveDeadline(node)?.left ?? Infinity);
    const isOver = (): boolean => this.#done || isSaid(response);
    awaitSilence(node, response, response.headersSent ? patience : Math.min(patience, left), isOver, () =>
      this.#giveUp(),
    );
  }

  #giveUp(): void {
    const outcome = outcomeOf(this.request, this.response, this, this.node.reason);
    if (outcome.status !== undefined) return this.#conclude(outcome);
    if (this.node.reason?.kind !== "failure") return this.#conclude(this.#outcomeOfReason());
    // The failure itself is reported when the scope settles, as nobody has received it.
    if (this.#isAnswerable()) this.#answer(500);
    else this.#cutOff();
  }

  #outcomeOfReason(): CancelledOutcome {
    const { reason } = this.node;
    return { status: reason?.kind === "deadline" ? this.statusOfDeadline() : 503, error: reason };
  }

  /**
   * Answers in the place of a handler that a shutdown's report calls stuck, or breaks off what that has begun to answer.
   *
   * @returns Whether an answer was given.
   */
  answer(status: 503): boolean {
    const outcome: CancelledOutcome = { status, error: this.node.reason };
    if (this.#isAnswerable()) {
      this.#conclude(outcome, true);
      return true;
    }
    this.#note(outcome, true);
    this.#cutOff();
    return false;
  }

  #cutOff(): void {
    if (isSaid(this.response)) return;
    this.#isCutOff = true;
    cutOff(this.response);
  }

  /** The handler has failed with what `outcome` stands for: the request gets that end, once. */
  conclude(outcome: CancelledOutcome): void {
    if (outcome.status === 499) {
      this.note(outcome);
      if (isResponse(this.response) && !this.response.headersSent) this.response.statusCode = 499;
    } else if (!isSaid(this.response)) {
      this.#conclude(outcome);
    }
  }

  /** Somebody else gives the request the end that `outcome` stands for. */
  note(outcome: CancelledOutcome): void {
    if (!isSaid(this.response)) this.#note(outcome);
  }

  #note(outcome: CancelledOutcome, isStuck = false): void {
    if (this.#outcome !== undefined) return;
    this.#outcome = outcome;
    try {
      this.#responder?.cancelled(outcome, isStuck);
    } catch (error) {
      printHookFailure(error); // a logger's, say: the client has to be answered all the same
    }
  }

  #conclude(outcome: CancelledOutcome, isStuck = false): void {
    const { request, response } = this;
    if (this.#answered) return;
    this.#note(outcome, isStuck);
    if (!this.#isAnswerable()) return this.#cutOff();
    const status = outcome.status === 504 ? 504 : 503;
    const respond = this.#responder?.respond;
    if (respond === undefined) return this.#answer(status);
    this.#becomeAnswered(); // first: error handlers that it calls may bring the same error back
    leaveUpload(request, response);
    const responded = respond(outcome);
    if (isResponse(response)) ignoreLateAnswer(response, "writableEnded");
    this.#isResponding = true;
    void within(MAX_RESPOND, responded).then(() => {
      this.#isResponding = false;
      if (isSaid(response) && !request.complete) stopUpload(response);
      if (isAnswerable(request, response)) answer(request, response, status, this.#form);
      else if (!isSaid(response) && isResponse(response) && response.headersSent) this.watch();
    });
  }

  #answer(status: 500 | 503 | 504): void {
    answer(this.request, this.response, status, this.#form);
    this.#becomeAnswered();
  }

  #becomeAnswered(): void {
    this.#answered = true;
    this.#responder?.answered?.();
  }

  get #responder(): Responder | undefined {
    const hooks = this.#server?.hooks;
    if (this.responder === undefined && hooks !== undefined)
      this.responder = new HooksResponder(hooks, this.request, this.response);
    return this.responder;
  }

  get #form(): Responder["takeOver"] | undefined {
    const responder = this.#responder;
    return responder === undefined ? undefined : (status, text) => responder.takeOver(status, text);
  }

  /** The framework has got `error` from the handler: that failure has a receiver. */
  receive(error: unknown): void {
    const { reason } = this.node;
    this.#received ??= [];
    this.#received.push(error);
    if (reason?.kind === "failure" && judge(this.node, error)) this.#received.push(reason.cause);
  }

  /** The framework has got a failure of the handler's. */
  get hasReceived(): boolean {
    return this.#received !== undefined;
  }

  ended(): void {}

  resolve(): void {}

  /** The scope has settled, and has failures or was cut short. */
  reject(): void {
    const { node } = this;
    const errors = node.rarely?.errors;
    if (errors === undefined) return;
    afterMicrotasks(() => {
      for (const [error, origin] of errors) {
        if (this.#received?.includes(error) === true || error === this.#outcome?.error) continue;
        if (!wasAwaited(node, origin)) reportOf(node, error, origin);
      }
    });
  }
}

/**
 * A failure that nobody has received goes to the nearest `onError`, else on the console: a request that fails must not end
 * the process, in which others are being answered.
 */
function reportOf(request: ScopeNode, error: unknown, origin: ScopeNode): void {
  const from = request.parent ?? request;
  if (hasReceiver(from)) return report(from, error, origin);
  // oxlint-disable-next-line no-console -- where servers and frameworks print what nobody handles
  console.error(`A task of a request has failed: ${origin.path}`, error);
}

/** Whether the handler awaited the task of its own in which a failure happened: then the failure is the handler's. */
function wasAwaited(request: ScopeNode, origin: ScopeNode): boolean {
  let at = origin;
  while (at !== request && at.parent !== request && at.parent !== undefined) at = at.parent;
  return at !== request && (at.flags & TASK) !== 0 && (at.flags & DELIVERED) !== 0;
}

/**
 * What we keep on a request. Nothing is kept on its response: Express changes the prototypes of both, after which a new
 * property takes as long as half a task, and on Node 20 several microseconds.
 */
interface Recorded {
  [recordKey]?: RequestRecord | undefined;
  [responderKey]?: Responder;
}

/** The record of a request whose handler has asked for its scope. */
export function recordOf(request: AnyRequest): RequestRecord | undefined {
  return (request as Recorded)[recordKey];
}

export function setRecord(request: AnyRequest, record: RequestRecord): void {
  (request as Recorded)[recordKey] = record;
}

/** Tells whoever answers in the handler's place how its framework does it. */
export function noteResponder(request: AnyRequest, responder: Responder): void {
  const recorded = request as Recorded;
  recorded[responderKey] = responder;
  const record = recorded[recordKey];
  if (record === undefined) return;
  record.responder = responder;
  if (record.hasDefaultName && responder.name !== undefined) record.node.label = responder.name;
}

export function responderOf(request: AnyRequest): Responder | undefined {
  return (request as Recorded)[responderKey];
}
