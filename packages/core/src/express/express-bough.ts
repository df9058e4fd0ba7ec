import type { NextFunction, Request, RequestHandler, Response } from "express";
import type { Server } from "node:net";
import { openIfBounded, openRequest } from "../http/open-request.js";
import { recordOf, type RequestRecord } from "../http/request.js";
import { checkRequestOptions, serverOf, type RequestScopeOptions } from "../http/request-scope.js";
import {
  checkServerOptions,
  openServer,
  serverScopeOptionNames,
  type ServerScopeOptions,
} from "../http/server-scope.js";
import { NodeResponder } from "../http/node-responder.js";
import type { OutcomeHooks } from "../http/responder.js";
import { callSite, recordSite } from "../kernel/call-site.js";
import { storesScopes } from "../kernel/diagnostics.js";
import type { Scope } from "../kernel/scope.js";
import { catchErrors, isPrepared } from "./catch-errors.js";
import { renameLater, routeName } from "./route-name.js";

type Hooks = OutcomeHooks<Request, Response>;

/** What `expressBough` takes. */
export interface ExpressBoughOptions
  extends RequestScopeOptions, Omit<ServerScopeOptions, keyof Hooks>, Hooks {}

declare global {
  // oxlint-disable-next-line typescript/no-namespace -- how Express wants its requests to be extended
  namespace Express {
    interface Request {
      /** The request's scope, a child of its server's: made when it is first read. See `bough/express`. */
      readonly scope: Scope;
    }
  }
}

/**
 * Gives each request a scope: `req.scope`, a child of `serverScope(server)`, where the server is found through the
 * socket. Mount it first; mount it again on a route for a `timeout` of its own. For Express 4 and 5.
 *
 * **Cancellation:** as that of `requestScope`: by the client's going away, the `timeout`, the header when
 * `deadlineHeader` is on, and the server's shutdown.
 *
 * **Failure:** a handler that fails because its client is gone answers nothing and is no error; the status is 499 for
 * those who log requests. One that runs out of time answers 503, or 504 where the time was another server's. These do
 * not reach the app's error handlers; everything else does, unchanged. For that, the first request looks for the
 * error handlers of the app, and adds one.
 *
 * 503 and 504 are told to `onCancelled`, and answered by `respond` if that is given.
 *
 * @param options - `timeout` of each request that comes by and `grace` of the shutdown in ms; the rest is what
 *   `serverScope` takes.
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
  /** On each server that this middleware has met. */
  const known: unique symbol = Symbol("bough.known");
  const bind = (request: Request, response: Response): void => {
    if (timeout !== undefined) scopeOf(request, response).limit(timeout);
    if (hooks !== undefined) useHooks(request, response, hooks);
  };
  // On Node 20 each of Express's requests has hidden classes of its own: a look at a property of it takes a microsecond.
  return function bough(request: Request, response: Response, next: NextFunction): void {
    const { server } = request.socket as { server?: Server & { [known]?: true } };
    if (server !== undefined && server[known] === undefined) {
      server[known] = true;
      openServer(server, serverOptions, site);
      adoptFirstRequest(request, response);
    }
    const app: Request["app"] | undefined = request.app; // a router may be used without one
    if ((app === undefined || !isPrepared(app)) && !("scope" in request)) addScope(request, response);
    if (app !== undefined) catchErrors(app);
    // For a trace the handler runs in the stores that are bound to the channel of scopes, and so in its request's scope.
    if (storesScopes() && recordOf(request) === undefined) {
      openRequest(request, response, serverOf(request), routeName(request), () => {
        bind(request, response);
        next();
      });
      return;
    }
    bind(request, response);
    next();
  };
}

/** Does for a request what the server's scope does for those that it sees arrive. */
function adoptFirstRequest(request: Request, response: Response): void {
  const state = serverOf(request);
  if (state === undefined) return;
  state.track(request, response);
  openIfBounded(request, response, state);
  renameLater(request);
}

/** The hooks of the first middleware are those of the server; those of others are for the requests that come by. */
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

/** On the prototype that the app's requests share, once; a router without an app has none of its own. */
function addScope(request: Request, response: Response): void {
  const hasApp = request.app !== undefined;
  const target: object = hasApp ? (request.app as unknown as { request: object }).request : request;
  Object.defineProperty(target, "scope", {
    configurable: true,
    enumerable: false,
    get: function scope(this: Request): Scope {
      const { node } = scopeOf(this, hasApp ? (this.res as Response) : response);
      recordSite(node, callSite(scope));
      return node;
    },
  });
}
