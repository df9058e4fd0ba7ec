import type { FastifyReply, FastifyRequest } from "fastify";
import { openRequest } from "../http/open-request.js";
import { outcomeOf, type CancelledOutcome } from "../http/outcome.js";
import { recordOf } from "../http/records.js";
import { callHook, type Form, type OutcomeHooks, type Responder } from "../http/responder.js";
import type { ServerState } from "../http/server-state.js";
import { interceptLog } from "./quiet-log.js";

/** What the application wants of requests that are cancelled. */
export type Hooks = OutcomeHooks<FastifyRequest, FastifyReply>;

/** Answers and logs in Fastify's form, for one request. */
export class FastifyResponder implements Responder {
  readonly #request: FastifyRequest;
  readonly #reply: FastifyReply;
  readonly #hooks: Hooks;
  #isIntercepted = false;

  constructor(request: FastifyRequest, reply: FastifyReply, hooks: Hooks) {
    this.#request = request;
    this.#reply = reply;
    this.#hooks = hooks;
  }

  get reply(): FastifyReply {
    return this.#reply;
  }

  /** By its route; one that no route matches, by its method alone, since whoever calls it makes up the rest. */
  get name(): string {
    const { method, routeOptions } = this.#request;
    return routeOptions.url === undefined ? method : `${method} ${routeOptions.url}`;
  }

  /** Of a reply that has been sent, `sent` says the same as its response. */
  get isHijacked(): boolean {
    return this.#reply.sent && !this.#reply.raw.writableEnded;
  }

  get seesHandler(): boolean {
    return !this.#reply.sent;
  }

  cancelled(outcome: CancelledOutcome, isStuck: boolean): void {
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

  get respond(): ((outcome: CancelledOutcome) => Promise<void>) | undefined {
    const { respond } = this.#hooks;
    if (respond === undefined) return undefined;
    return (outcome) => {
      const reply = continuationOf(this.#reply);
      this.#reply.hijack();
      return callHook(respond, outcome, this.#request, reply, this.#report);
    };
  }

  readonly #report = (error: unknown): void => {
    this.#request.log.error({ err: error }, "a hook for cancelled requests has failed");
  };

  takeOver(statusCode: number, text: string): Form {
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

  beforeFailure(): void {
    this.#intercept();
  }

  answered(): void {
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
    const outcome = outcomeOf(raw, this.#reply.raw, record, error);
    if (outcome.status === undefined) return false;
    if (outcome.status !== 499 && !this.#reply.sent) return false; // Fastify, or an error handler, is about to answer
    record?.conclude(outcome);
    return true;
  }

  /** The handler or a hook has failed, and Fastify would answer that. Says whether the answer is given. */
  failedUnanswered(error: unknown, state: ServerState): boolean {
    const { raw } = this.#request;
    const record = recordOf(raw);
    const outcome = outcomeOf(raw, this.#reply.raw, record, error);
    record?.receive(error);
    if (outcome.status === undefined) {
      // An error handler of the app's may wait for something in its turn, and fail because the client goes away meanwhile.
      if (record !== undefined) this.#intercept();
      return false;
    }
    (record ?? openRequest(raw, this.#reply.raw, state)).conclude(outcome);
    return true;
  }
}

/** What Fastify keeps on a reply while it deals with the handler's failure; it refuses to send anything meanwhile. */
const ofFailure: ReadonlySet<string | undefined> = new Set([
  "fastify.reply.isError",
  "fastify.reply.isRunningOnErrorHook",
]);

/** A reply that goes on where the handler's ends. That one is hijacked then, so that nothing is sent twice. */
function continuationOf(reply: FastifyReply): FastifyReply {
  const next = Object.create(reply, { sent: { get: () => reply.raw.writableEnded } }) as FastifyReply;
  for (const symbol of Object.getOwnPropertySymbols(reply))
    if (ofFailure.has(symbol.description))
      Object.defineProperty(next, symbol, { value: false, writable: true });
  return next;
}

function messageOf({ status, error }: CancelledOutcome): string {
  if (status === 504) return "a call of the request ran out of time";
  const { kind } = error as { kind?: unknown };
  return kind === "deadline" ? "request ran out of time" : "request was cancelled";
}
