import { STATUS_CODES, validateHeaderValue } from "node:http";
import type { FastifyReply, FastifyRequest } from "fastify";
import { bodyHeaders, NodeResponder, type AnswerContent } from "../http/node-responder.js";
import { openRequest } from "../http/open-request.js";
import { outcomeOf, type CancelledOutcome, type CancelStatus } from "../http/outcome.js";
import { recordOf } from "../http/request-records.js";
import { callHook, type AnswerStatus, type OutcomeHooks } from "../http/responder.js";
import type { ServerState } from "../http/server-state.js";
import { interceptLog } from "./patches.js";

// Fastify's responder. Its answers go through the reply, and so through the app's hooks and error handlers.

/** The application's hooks for cancelled requests. */
export type Hooks = OutcomeHooks<FastifyRequest, FastifyReply>;

/** Answers one request in the form of Fastify's errors, and logs it with its logger. */
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

  /** Method and route. Without a route only the method, since the client chooses the path. */
  get name(): string {
    const url = patternOf(this.#request);
    const { method } = this.#request;
    return url === undefined ? method : `${method} ${url}`;
  }

  get isHijacked(): boolean {
    return this.#reply.sent && !this.#reply.raw.writableEnded;
  }

  get isHandlerRunning(): boolean {
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
    // The reply was hijacked: other code writes the response, without Fastify's hooks.
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

  protected override takeOver(statusCode: AnswerStatus, text: string): AnswerContent {
    const { raw } = this.#reply.hijack();
    // Fastify keeps the headers until it sends them.
    for (const [name, value] of Object.entries(this.#reply.getHeaders())) {
      try {
        if (value !== undefined) raw.setHeader(name, value);
      } catch {
        // An invalid value, which Fastify notices when it sends the headers, and leaves out too.
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

  /** Receives the failures that Fastify would only log, as the reply can't be sent any more. */
  #intercept(): void {
    if (this.#isIntercepted) return;
    this.#isIntercepted = true;
    interceptLog(
      this.#reply,
      (error) => this.onLoggedFailure(error),
      () => recordOf(this.#request.raw)?.isAnswered === true,
    );
  }

  /** Called when Fastify is about to log a failure. Returns true if the failure needs no log. */
  onLoggedFailure(error: unknown): boolean {
    const { raw } = this.#request;
    const record = recordOf(raw);
    const outcome = outcomeOf(record, error, this.isDisconnected);
    if (outcome.status === undefined) return false;
    if (outcome.status !== 499 && !this.#reply.sent) return false; // Fastify, or an error handler, is about to answer
    record?.end(outcome);
    return true;
  }

  /** Called when the handler or a hook has failed. Returns true if the request has its answer, so that Fastify gives none. */
  onFailure(error: unknown, state: ServerState): boolean {
    const { raw } = this.#request;
    const record = recordOf(raw);
    const outcome = outcomeOf(record, error, this.isDisconnected);
    record?.receive(error);
    if (outcome.status === undefined) {
      // An error handler of the app may wait as well, and fail because the client disconnects.
      if (record !== undefined) this.#intercept();
      return false;
    }
    (record ?? openRequest(raw, this.#reply.raw, state)).end(outcome);
    return true;
  }
}

/**
 * Where Fastify keeps the route on a request. Each copy of Fastify has a separate symbol; this is the symbol of the
 * first one.
 */
let contextKey: symbol | undefined;

/** The pattern of the route, as `request.routeOptions.url`, which makes an object and asks the router on each read. */
function patternOf(request: FastifyRequest): string | undefined {
  contextKey ??= Object.getOwnPropertySymbols(request).find(
    ({ description }) => description === "fastify.context",
  );
  const contexts = request as unknown as {
    readonly [key: symbol]: { readonly config?: { url?: string } } | undefined;
  };
  const context = contextKey && contexts[contextKey];
  return context === undefined ? request.routeOptions.url : context.config?.url;
}

/**
 * The fields of a reply that a continuation of it resets: Fastify refuses to send while it handles a failure, or when the
 * reply was hijacked.
 */
const handlerFields: ReadonlySet<string | undefined> = new Set([
  "fastify.reply.hijacked",
  "fastify.reply.isError",
  "fastify.reply.isRunningOnErrorHook",
]);

/** Returns a reply that continues the handler's `reply`, which is hijacked so that nothing is sent twice. */
function continuationOf(
  reply: FastifyReply,
  status: CancelStatus,
): { reply: FastifyReply; hasSent: () => boolean } {
  const next = Object.create(reply) as FastifyReply;
  for (const symbol of Object.getOwnPropertySymbols(reply))
    if (handlerFields.has(symbol.description))
      Object.defineProperty(next, symbol, { value: false, writable: true, configurable: true });
  let sent = false;
  const send: FastifyReply["send"] = (payload) => {
    sent = true;
    return reply.send.call(next, payload);
  };
  // The status has been logged. Error handlers answer unknown errors with 500.
  const code = (value: number): FastifyReply => {
    reply.code.call(next, value === 500 ? status : value);
    return next;
  };
  const overrides = { send, code, status: code };
  for (const [name, value] of Object.entries(overrides))
    Object.defineProperty(next, name, { value, writable: true });
  return { reply: next, hasSent: () => sent };
}

/**
 * Answers if the application has no `respond`. Its error handler gets the cancellation as an error with a `statusCode`.
 * Without an error handler, the answer has the form of Fastify's errors, and is not logged.
 */
async function answerInPlace(
  { status, error }: CancelledOutcome,
  _: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  removeBodyHeaders(reply);
  reply.code(status);
  if (hasErrorHandler(reply)) {
    await reply.send(withStatus(error, status));
  } else {
    const text = STATUS_CODES[status] as string;
    const body = JSON.stringify({ statusCode: status, error: text, message: text });
    await reply.type("application/json; charset=utf-8").send(body);
  }
}

/** Removes the headers that describe the body of the handler's answer, which another one replaces. */
export function removeBodyHeaders(reply: FastifyReply): void {
  for (const [name, value] of Object.entries(reply.getHeaders()))
    if (bodyHeaders.test(name) || !isSendable(name, value)) reply.removeHeader(name);
}

/** Whether a header can be sent. Fastify sends none of the headers if one can't. */
function isSendable(name: string, value: unknown): boolean {
  try {
    for (const one of Array.isArray(value) ? (value as unknown[]) : [value])
      validateHeaderValue(name, one as string);
    return true;
  } catch {
    return false;
  }
}

/** Whether the application has an error handler that was not called yet. Fastify's default one would log an error. */
function hasErrorHandler(reply: FastifyReply): boolean {
  const context = fieldOf(reply, "fastify.context") as { errorHandler?: object } | undefined;
  const handler = context?.errorHandler;
  if (handler === undefined || fieldOf(reply, "fastify.reply.nextErrorHandler") !== undefined) return false;
  return Object.getPrototypeOf(handler) !== Object.prototype; // the default one ends the chain of handlers
}

/** The value that Fastify stores on a reply or its prototypes under a symbol. */
function fieldOf(reply: FastifyReply, description: string): unknown {
  for (let at: object | null = reply; at !== null; at = Object.getPrototypeOf(at) as object | null)
    for (const symbol of Object.getOwnPropertySymbols(at))
      if (symbol.description === description) return Reflect.get(reply, symbol);
  return undefined;
}

/** Sets the status that Fastify and error handlers read. It keeps the same object, which is `request.scope.reason`. */
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
