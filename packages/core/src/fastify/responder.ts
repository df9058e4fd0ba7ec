import { STATUS_CODES, validateHeaderValue } from "node:http";
import type { FastifyReply, FastifyRequest } from "fastify";
import { bodyHeaders, NodeResponder, type Form } from "../http/node-responder.js";
import { openRequest } from "../http/open-request.js";
import { outcomeOf, type CancelledOutcome, type CancelStatus } from "../http/outcome.js";
import { recordOf } from "../http/request.js";
import { callHook, type AnswerStatus, type OutcomeHooks } from "../http/responder.js";
import type { ServerState } from "../http/server-state.js";
import { interceptLog } from "./patches.js";

/** What the application wants of requests that are cancelled. */
export type Hooks = OutcomeHooks<FastifyRequest, FastifyReply>;

/** Answers and logs in Fastify's form, for one request. */
export class FastifyResponder extends NodeResponder {
  readonly #request: FastifyRequest;
  readonly #reply: FastifyReply;
  readonly #hooks: Hooks;
  #isIntercepted = false;

  constructor(request: FastifyRequest, reply: FastifyReply, hooks: Hooks) {
    super(request.raw, reply.raw);
    this.#request = request;
    this.#reply = reply;
    this.#hooks = hooks;
  }

  get reply(): FastifyReply {
    return this.#reply;
  }

  /** By its route; one that no route matches, by its method alone, since whoever calls it makes up the rest. */
  override get name(): string {
    const { method, routeOptions } = this.#request;
    return routeOptions.url === undefined ? method : `${method} ${routeOptions.url}`;
  }

  /** Of a reply that has been sent, `sent` says the same as its response. */
  get isHijacked(): boolean {
    return this.#reply.sent && !this.#reply.raw.writableEnded;
  }

  override get isHandlerRunning(): boolean {
    return !this.#reply.sent;
  }

  override log(outcome: CancelledOutcome, isStuck: boolean): void {
    const { log } = this.#request;
    const { status, error } = outcome;
    if (status === 499) {
      this.#intercept();
      // Fastify logs a request in `onResponse`, which does not come for this one.
      const responseTime = this.#reply.elapsedTime;
      log.info({ req: this.#request, statusCode: 499, responseTime }, "client closed request");
    } else if (!isStuck) {
      log.warn({ err: error, statusCode: status }, messageOf(outcome));
    }
    void callHook(this.#hooks.onCancelled, outcome, this.#request, this.#reply, this.#report);
  }

  protected override ownAnswer(): ((outcome: CancelledOutcome) => Promise<void>) | undefined {
    const { respond = answerInPlace } = this.#hooks;
    // Somebody else writes the response: Fastify's hooks have no part in it.
    if (respond === answerInPlace && this.isHijacked) return undefined;
    return async (outcome) => {
      const { reply, hasSent } = continuationOf(this.#reply.hijack(), outcome.status);
      await callHook(respond, outcome, this.#request, reply, this.#report);
      // `send` returns before the hooks `onSend` are through.
      if (hasSent()) await reply;
    };
  }

  readonly #report = (error: unknown): void => {
    this.#request.log.error({ err: error }, "a hook for cancelled requests has failed");
  };

  protected override takeOver(statusCode: AnswerStatus, text: string): Form {
    const { raw } = this.#reply.hijack();
    // Fastify keeps the headers until it sends them.
    for (const [name, value] of Object.entries(this.#reply.getHeaders())) {
      try {
        if (value !== undefined) raw.setHeader(name, value);
      } catch {
        // Of no valid value: Fastify finds out when it sends it, and then leaves it out, too.
      }
    }
    return { type: "application/json", body: JSON.stringify({ statusCode, error: text, message: text }) };
  }

  onCancelled(): void {
    this.#intercept();
  }

  onAnswered(): void {
    this.#intercept();
  }

  /** Failures that come when the reply can't be sent any more, and follow from the cancellation. */
  #intercept(): void {
    if (this.#isIntercepted) return;
    this.#isIntercepted = true;
    interceptLog(this.#reply, (error) => this.failed(error));
  }

  /** Fastify is about to log a failure. Says whether it need not. */
  failed(error: unknown): boolean {
    const { raw } = this.#request;
    const record = recordOf(raw);
    const outcome = outcomeOf(record, error, this.isDisconnected);
    if (outcome.status === undefined) return false;
    if (outcome.status !== 499 && !this.#reply.sent) return false; // Fastify, or an error handler, is about to answer
    record?.end(outcome);
    return true;
  }

  /** The handler or a hook has failed, and Fastify would answer that. Says whether the answer is given. */
  failedUnanswered(error: unknown, state: ServerState): boolean {
    const { raw } = this.#request;
    const record = recordOf(raw);
    const outcome = outcomeOf(record, error, this.isDisconnected);
    record?.receive(error);
    if (outcome.status === undefined) {
      // An error handler of the app's may wait for something in its turn, and fail because the client goes away meanwhile.
      if (record !== undefined) this.#intercept();
      return false;
    }
    (record ?? openRequest(raw, this.#reply.raw, state)).end(outcome);
    return true;
  }
}

/**
 * What Fastify keeps on a reply, and a reply that takes another's place starts with: it refuses to send anything while it
 * deals with the handler's failure, or when the reply was hijacked.
 */
const ofHandler: ReadonlySet<string | undefined> = new Set([
  "fastify.reply.hijacked",
  "fastify.reply.isError",
  "fastify.reply.isRunningOnErrorHook",
]);

/** A reply that goes on where the handler's ends, which is hijacked, so that nothing is sent twice. */
function continuationOf(
  reply: FastifyReply,
  status: CancelStatus,
): { reply: FastifyReply; hasSent: () => boolean } {
  const next = Object.create(reply) as FastifyReply;
  for (const symbol of Object.getOwnPropertySymbols(reply))
    if (ofHandler.has(symbol.description))
      Object.defineProperty(next, symbol, { value: false, writable: true, configurable: true });
  let sent = false;
  const send: FastifyReply["send"] = (payload) => {
    sent = true;
    return reply.send.call(next, payload);
  };
  // The log and whoever watches have been told the status. 500 is what an error handler answers to what it does not know.
  const code = (value: number): FastifyReply => {
    reply.code.call(next, value === 500 ? status : value);
    return next;
  };
  const own = { send, code, status: code };
  for (const [name, value] of Object.entries(own))
    Object.defineProperty(next, name, { value, writable: true });
  return { reply: next, hasSent: () => sent };
}

/**
 * The answer if the application gives none by `respond`: that of its own error handler, which gets the cancellation as it
 * would get an error with a `statusCode`, or else one in the form of Fastify's, which logs nothing.
 */
async function answerInPlace(
  { status, error }: CancelledOutcome,
  _: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  for (const [name, value] of Object.entries(reply.getHeaders()))
    if (bodyHeaders.test(name) || !isSendable(name, value)) reply.removeHeader(name);
  reply.code(status);
  if (hasErrorHandler(reply)) {
    await reply.send(withStatus(error, status));
  } else {
    const text = STATUS_CODES[status] as string;
    const body = JSON.stringify({ statusCode: status, error: text, message: text });
    await reply.type("application/json; charset=utf-8").send(body);
  }
}

/** Fastify finds out when it sends a header that it can't, and then sends none of them. */
function isSendable(name: string, value: unknown): boolean {
  try {
    for (const one of Array.isArray(value) ? (value as unknown[]) : [value])
      validateHeaderValue(name, one as string);
    return true;
  } catch {
    return false;
  }
}

/** Whether an error handler of the application's is there that has not been called yet. Its default would log an error. */
function hasErrorHandler(reply: FastifyReply): boolean {
  const context = fieldOf(reply, "fastify.context") as { errorHandler?: object } | undefined;
  const handler = context?.errorHandler;
  if (handler === undefined || fieldOf(reply, "fastify.reply.nextErrorHandler") !== undefined) return false;
  return Object.getPrototypeOf(handler) !== Object.prototype; // the default one ends the chain of handlers
}

/** What Fastify keeps on a reply, or on what it inherits from, under a symbol. */
function fieldOf(reply: FastifyReply, description: string): unknown {
  for (let at: object | null = reply; at !== null; at = Object.getPrototypeOf(at) as object | null)
    for (const symbol of Object.getOwnPropertySymbols(at))
      if (symbol.description === description) return Reflect.get(reply, symbol);
  return undefined;
}

/** Fastify, and error handlers, look for the status on the error. The same object, as `request.scope.reason` is it. */
function withStatus(error: unknown, status: CancelStatus): unknown {
  if (typeof error === "object" && error !== null && !("statusCode" in error) && Object.isExtensible(error))
    Object.defineProperty(error, "statusCode", { value: status, configurable: true });
  return error;
}

function messageOf({ status, error }: CancelledOutcome): string {
  if (status === 504) return "a call of the request ran out of time";
  const { kind } = error as { kind?: unknown };
  return kind === "deadline" ? "request ran out of time" : "request was cancelled";
}
