import type { NextFunction, Request, RequestHandler, Response } from "express";
import type { Server } from "node:net";
import { openIfLimited, openRequest } from "../http/open-request.js";
import type { RequestRecord } from "../http/request.js";
import { latest, recordOf } from "../http/request-records.js";
import { checkRequestOptions, type RequestScopeOptions } from "../http/request-options.js";
import { serverOf } from "../http/request-scope.js";
import {
  checkServerOptions,
  openServer,
  serverScopeOptionNames,
  type ServerScopeOptions,
} from "../http/server-scope.js";
import { NodeResponder } from "../http/node-responder.js";
import type { OutcomeHooks } from "../http/responder.js";
import { callSite, recordSite } from "../kernel/call-site.js";
import { hasScopeStores } from "../kernel/diagnostics.js";
import type { Scope } from "../kernel/scope.js";
import { catchErrors, isPrepared } from "./catch-errors.js";
import { defineScope } from "./patches.js";
import { renameLater, routeName } from "./route-name.js";

// The integration for Express: the middleware and `req.scope`. Express defines no format of errors, so its responder is
// `NodeResponder`.

type Hooks = OutcomeHooks<Request, Response>;

/** The options of `expressBough`. */
export interface ExpressBoughOptions
  extends RequestScopeOptions, Omit<ServerScopeOptions, keyof Hooks>, Hooks {}

declare global {
  // oxlint-disable-next-line typescript/no-namespace -- how Express wants its requests to be extended
  namespace Express {
    interface Request {
      /** The scope of the request, a child of its server's scope, made on the first read. See `bough/express`. */
      readonly scope: Scope;
    }
  }
}

/**
 * Gives each request a scope: `req.scope`, a child of `serverScope(server)`.
 *
 * For Express 4 and 5. Mount it first; mount it again on a route for another `timeout`. The server is found through the
 * socket of the request.
 *
 * **Cancellation:** as with `requestScope`: when the client goes away, by the `timeout`, by the header if `deadlineHeader`
 * is on, and at the server's shutdown.
 *
 * **Failure:** a handler that fails because its client has gone is not an error and is not answered; request loggers see the
 * status 499. A request that runs out of time is answered with 503, or with 504 if another server ran out of time. Neither
 * reaches the app's error handlers; every other error does, unchanged. To that end the first request looks for the error
 * handlers of the app, and adds one.
 *
 * `onCancelled` is called for 499, 503 and 504. `respond`, if given, answers 503 and 504.
 *
 * @param options - `timeout` of each request that passes through and `grace` of the shutdown, in ms, and the other options
 *   of `serverScope`.
 * @returns The middleware, which adds `req.scope`. Use it first.
 * @throws {TypeError | RangeError} If an option is of the wrong type or out of range.
 * @example
 * ```ts no-run
 * import express from "express";
 * import { expressBough } from "bough/express";
 * import { serverScope } from "bough/http";
 *
 * const app = express();
 * app.use(expressBough({ timeout: 10_000 }));
 * app.get("/report", async (req, res) => {
 *   const { signal } = req.scope; // aborts when the client goes away, after 10 s, and at shutdown
 *   const upstream = await fetch("http://upstream/report", { signal });
 *   res.json(await upstream.json());
 * });
 * const server = app.listen(3000);
 * process.once("SIGTERM", () => void serverScope(server).shutdown());
 * ```
 */
export function expressBough(options: ExpressBoughOptions = {}): RequestHandler {
  checkRequestOptions("expressBough", options, serverScopeOptionNames);
  checkServerOptions("expressBough", options as ServerScopeOptions);
  const { timeout, onCancelled, respond, ...serverOptions } = options;
  const hooks: Hooks | undefined =
    onCancelled === undefined && respond === undefined ? undefined : { onCancelled, respond };
  const site = callSite(expressBough);
  /** On each server whose requests have passed through this middleware. It holds no server, and no app. */
  const known: unique symbol = Symbol("bough.known");
  const applyOptions = (request: Request, response: Response): void => {
    if (timeout !== undefined) scopeOf(request, response).limit(timeout);
    if (hooks !== undefined) useHooks(request, response, hooks);
  };
  // On Node 20 every request of Express has its own hidden class, and reading one of its properties takes a microsecond.
  return function bough(request: Request, response: Response, next: NextFunction): void {
    if (request !== latest.request || latest.server?.integration !== known) {
      const { server } = request.socket as { server?: Server & { [known]?: true } };
      if (server !== undefined && server[known] === undefined) {
        server[known] = true;
        openServer(server, serverOptions, site);
        adoptFirstRequest(request, response);
      }
      const state = serverOf(request);
      if (state !== undefined) state.integration = known;
    }
    // Each app has a prototype for its requests, whose property it is. A router may be used without an app.
    const { app } = Object.getPrototypeOf(request) as { readonly app?: Request["app"] };
    if ((app === undefined || !isPrepared(app)) && !("scope" in request)) addScope(request, response);
    if (app !== undefined) catchErrors(app);
    // For tracing, the handler runs in the stores that are bound to the diagnostics channel of scopes.
    if (hasScopeStores() && recordOf(request) === undefined) {
      openRequest(request, response, serverOf(request), routeName(request), () => {
        applyOptions(request, response);
        next();
      });
      return;
    }
    applyOptions(request, response);
    next();
  };
}

/** Adds the request that has caused the server's scope to be created. Later requests are added by its listener. */
function adoptFirstRequest(request: Request, response: Response): void {
  const state = serverOf(request);
  if (state === undefined) return;
  state.track(request, response);
  openIfLimited(request, response, state);
  renameLater(request);
}

/**
 * Sets the hooks: those of the first middleware for the server, those of another one for the requests that pass through
 * it.
 */
function useHooks(request: Request, response: Response, hooks: Hooks): void {
  const state = serverOf(request);
  if (state !== undefined && state.hooks === undefined) state.hooks = hooks;
  else if (state?.hooks !== hooks)
    scopeOf(request, response).responder = new NodeResponder(request, response, hooks);
}

function scopeOf(request: Request, response: Response): RequestRecord {
  const record = recordOf(request);
  if (record === undefined) return openRequest(request, response, serverOf(request), routeName(request));
  if (record.hasDefaultName) {
    record.hasDefaultName = false;
    renameLater(request);
  }
  record.updateName();
  return record;
}

/** Defines `scope` once, on the prototype that the app's requests share. A router without an app has no such prototype. */
function addScope(request: Request, response: Response): void {
  const { app } = request as unknown as { app?: { readonly request: object } };
  if (app !== undefined) defineScope(app.request, scopeGetter(responseOf));
  else
    defineScope(
      request,
      scopeGetter(() => response),
    );
}

function responseOf(request: Request): Response {
  return request === latest.request ? (latest.response as Response) : (request.res as Response);
}

/** A separate function: the getter holds the variables around it as long as the app lives. */
function scopeGetter(responseOf: (request: Request) => Response): (this: Request) => Scope {
  return function scope(this: Request): Scope {
    const { node } = scopeOf(this, responseOf(this));
    recordSite(node, callSite(scope));
    return node;
  };
}
