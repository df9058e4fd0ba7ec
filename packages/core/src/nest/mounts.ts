import { STATUS_CODES, type IncomingMessage, type ServerResponse } from "node:http";
import type { Server } from "node:net";
import type { Request, Response } from "express";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { wrongType } from "../errors/validate.js";
import { expressBough } from "../express/express-bough.js";
import { endIfCancelled } from "../express/catch-errors.js";
import { fastifyBough, handOverShutdown, openRaw } from "../fastify/fastify-bough.js";
import { FastifyResponder, removeBodyHeaders } from "../fastify/responder.js";
import { isDisconnected } from "../http/messages.js";
import { openRequest } from "../http/open-request.js";
import { outcomeOf, type CancelledOutcome } from "../http/outcome.js";
import { isObjectLike } from "../errors/user-values.js";
import { recordOf, responderOf } from "../http/request-records.js";
import { openServer, serverStateOf } from "../http/server-scope.js";
import type { Scope } from "../kernel/scope.js";
import type { Adapter } from "./adapter.js";
import { serverOptionsOf, type BoughModuleOptions } from "./options.js";

// How bough is mounted on each of Nest's two adapters. Both integrations are used as they are.

/** The integration for one adapter. */
export interface Mount {
  /** The scope of a request that the app has given to a guard, an interceptor, a handler or middleware. */
  scopeOf(request: unknown): Scope;
  /** Ends a cancelled request whose handler has failed. Returns false if it was not cancelled. */
  end(error: unknown, request: never, response: never): boolean;
  /** Called before the server shuts down. */
  readonly beforeShutdown?: () => void;
}

export function mountOnExpress(adapter: Adapter, options: BoughModuleOptions): Mount {
  adapter.use(expressBough(options));
  return {
    scopeOf: (request) => scopeProperty(request),
    end: (error, request: Request, response: Response) => endIfCancelled(error, request, response),
  };
}

export function mountOnFastify(adapter: Adapter, options: BoughModuleOptions): Mount {
  const { timeout, onCancelled, respond = answerInForm, ...others } = options;
  const server = (): Server => adapter.getInstance<FastifyInstance>().server;
  // These options are set on the server because Nest's middleware runs before the plugin's hooks. Middleware gets the
  // request of Node, and if it opens the scope, `onCancelled` gets that request, too.
  openServer(server(), { ...serverOptionsOf(options), timeout, onCancelled }, undefined);
  const { register } = adapter as unknown as Pick<FastifyInstance, "register">;
  void Reflect.apply(register, adapter, [fastifyBough, { ...others, onCancelled, respond }]);
  return {
    scopeOf: (request) => {
      // Middleware gets the request of Node.
      if (isObjectLike(request) && "scope" in request) return scopeProperty(request);
      return openRaw(checkRequest(request) as IncomingMessage, serverStateOf(server())).node;
    },
    end: (error, request: FastifyRequest | IncomingMessage, response: { raw?: ServerResponse }) => {
      const raw = "raw" in request ? request.raw : request;
      const state = serverStateOf(server());
      const responder = responderOf(raw);
      if (responder instanceof FastifyResponder) return responder.onFailure(error, state);
      const rawResponse = response.raw ?? (response as ServerResponse);
      const record = recordOf(raw);
      const outcome = outcomeOf(record, error, isDisconnected(raw, rawResponse));
      record?.receive(error);
      if (outcome.status === undefined) return false;
      (record ?? openRequest(raw, rawResponse, state)).end(outcome);
      return true;
    },
    beforeShutdown: () => {
      const state = serverStateOf(server());
      state.connectionPolicy = handOverShutdown(server()) ?? state.connectionPolicy;
    },
  };
}

/** Answers in the form of Nest's exceptions. */
function answerInForm({ status }: CancelledOutcome, _: FastifyRequest, reply: FastifyReply): FastifyReply {
  removeBodyHeaders(reply);
  return reply.code(status).send({ statusCode: status, message: STATUS_CODES[status] });
}

function scopeProperty(request: unknown): Scope {
  const { scope } = checkRequest(request) as { scope?: Scope };
  if (scope === undefined) throw wrongType("requestScope", "request must be a request of this app", request);
  return scope;
}

function checkRequest(request: unknown): object {
  if (isObjectLike(request) && "headers" in request) return request;
  throw wrongType("requestScope", "request must be a request of this app", request);
}
