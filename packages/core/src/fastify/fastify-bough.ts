import { lookup } from "node:dns";
import type { Server } from "node:net";
import type { FastifyInstance, FastifyPluginAsync, FastifyRequest } from "fastify";
import { callSite, recordSite } from "../kernel/call-site.js";
import { storesScopes } from "../kernel/diagnostics.js";
import { spareSending } from "../http/connections.js";
import { deadlineHeaderOf } from "../http/deadline-header.js";
import { openRequest } from "../http/open-request.js";
import { setResponder, recordOf, responderOf, type RequestRecord } from "../http/request.js";
import {
  checkServerOptions,
  openServer,
  serverScopeOptionNames,
  serverStateOf,
  type ServerScope,
  type ServerScopeOptions,
} from "../http/server-scope.js";
import type { Connections, ServerState } from "../http/server-state.js";
import { realTimers } from "../kernel/platform.js";
import type { Scope } from "../kernel/scope.js";
import { optionNames, type OptionNames } from "../errors/option-names.js";
import { checkDuration, checkOptionsObject } from "../errors/validate.js";
import { afterPreClose } from "./patches.js";
import { FastifyResponder, type Hooks } from "./responder.js";

/** What `fastifyBough` takes: `timeout` is the one of routes that have none of their own. */
export interface FastifyBoughOptions extends Omit<ServerScopeOptions, keyof Hooks>, Hooks {}

/** What a route's `config.bough` holds. */
export interface RouteBoughOptions {
  /** Milliseconds that a request of this route has; `Infinity` for no limit. */
  readonly timeout?: number | undefined;
}

/** What Fastify's `register` takes itself, and passes on. */
interface Registered {
  readonly prefix?: unknown;
  readonly logLevel?: unknown;
  readonly logSerializers?: unknown;
}

const registeredNames = optionNames<Registered>({ prefix: true, logLevel: true, logSerializers: true });
const fastifyBoughOptionNames: OptionNames = {
  all: serverScopeOptionNames.all,
  has: (name) => serverScopeOptionNames.has(name) || registeredNames.has(name),
};
const routeBoughOptionNames = optionNames<RouteBoughOptions>({ timeout: true });

declare module "fastify" {
  interface FastifyRequest {
    /** The request's scope, a child of `fastify.scope`: made when it is first read. See `bough/fastify`. */
    readonly scope: Scope;
  }
  interface FastifyInstance {
    /** The server's scope: the place for work that outlives a request. */
    readonly scope: ServerScope;
  }
  interface FastifyContextConfig {
    readonly bough?: RouteBoughOptions;
  }
}

/** How much later than ours Fastify's look-up of the same name may end. */
const LOOKUP_MARGIN = 50;

/** What Fastify prints of an app without routes. */
const NO_ROUTES = "(empty tree)";

/** The body of the plugin; see `fastifyBough`. */
export const plugin: FastifyPluginAsync<FastifyBoughOptions> = async (fastify, options) => {
  const { timeout, onCancelled, respond, ...others } = options;
  const {
    prefix: _prefix,
    logLevel: _level,
    logSerializers: _serializers,
    ...serverOptions
  } = others as Registered & typeof others;
  const hooks: Hooks = { onCancelled, respond };
  checkServerOptions("fastifyBough", options as ServerScopeOptions, fastifyBoughOptionNames);
  // Fastify calls the plugin later: nobody's line is on the stack.
  const onError = logTo(new WeakRef(fastify));
  const scope = openServer(fastify.server, { onError, ...serverOptions }, undefined);
  const state = serverStateOf(fastify.server);
  const header = deadlineHeaderOf(state.deadlineHeader);
  const { server } = fastify;
  let listens = false;
  // `routeOptions` is made anew on each call. Of routes that were declared before, we know nothing.
  let looksAtRoutes = fastify.printRoutes() !== NO_ROUTES;

  fastify.decorate("scope", scope);
  fastify.decorateRequest("scope", {
    getter: function scope(this: FastifyRequest): Scope {
      const { node } = open(this.raw, state);
      recordSite(node, callSite(scope));
      return node;
    },
  });

  fastify.addHook("onRequest", (request, reply, done) => {
    const responder = new FastifyResponder(request, reply, hooks);
    setResponder(request.raw, responder);
    // For a trace the handler runs in the stores that are bound to the channel of scopes.
    if (storesScopes() && recordOf(request.raw) === undefined)
      return void openRequest(request.raw, reply.raw, state, undefined, () => {
        bound(request);
        done();
      });
    bound(request);
    done();
  });

  const bound = (request: FastifyRequest): void => {
    const limit = (looksAtRoutes ? request.routeOptions.config.bough?.timeout : undefined) ?? timeout;
    if (limit !== undefined && limit !== Infinity) open(request.raw, state).limit(limit);
    else if (header !== undefined && header in request.raw.headers) open(request.raw, state);
    else if (isElsewhere(request, server)) {
      spareSending((request.raw.socket as unknown as { server: Server }).server);
      open(request.raw, state);
    }
  };

  // Not calling `done` keeps the error handlers, and the logs, out of it.
  fastify.addHook("onError", (request, reply, error, done) => {
    const responder = responderOf(request.raw);
    if (!(responder instanceof FastifyResponder)) return done();
    // Another reply is the answer in this one's place, on its way to the error handlers.
    if (reply !== responder.reply || !responder.failedUnanswered(error, state)) done();
  });

  fastify.addHook("onRoute", ({ config }) => {
    if (config?.bough !== undefined) {
      checkOptionsObject("fastifyBough: config.bough", config.bough, routeBoughOptionNames);
    }
    checkDuration("fastifyBough", "config.bough.timeout", config?.bough?.timeout);
    if (config?.bough?.timeout !== undefined) looksAtRoutes = true;
  });

  const { onListen, afterListen } = watchListen();
  fastify.addHook("onListen", async () => {
    listens = true;
    onListen();
  });
  state.afterListen = afterListen;
  afterPreClose(fastify, async (hasBegun) => {
    if (!hasBegun) return scope.state === "open" ? void (await scope.shutdown({ grace: 0 })) : undefined;
    state.connections = connectionsOf(fastify, listens);
    const { stuck } = await scope.shutdown({ drainDelay: 0 });
    if (stuck.length > 0) fastify.log.warn({ stuck }, "requests or tasks are stuck");
  });
};

/** Weakly, and in a function of its own: the server's scope must not hold the server, which holds its handle. */
function logTo(app: WeakRef<FastifyInstance>): NonNullable<ServerScopeOptions["onError"]> {
  return (error, { path }) => {
    const log = app.deref()?.log;
    if (log === undefined) throw error; // as if there were no `onError`
    log.error({ err: error, task: path }, "task failed");
  };
}

/** What `close()` is to do with the app's connections. */
function connectionsOf({ server, initialConfig }: FastifyInstance, listens: boolean): Connections {
  // Fastify does not close a server either that somebody else has made and told to listen.
  if (server.listening && !listens) return "leave";
  // `false`: kept connections are answered with Fastify's 503.
  const { forceCloseConnections } = initialConfig;
  return forceCloseConnections === true ? "force" : forceCloseConnections === false ? "keep" : "drain";
}

/**
 * Once it listens on `localhost`, Fastify looks for further addresses of that and then asks the server for its own, which a
 * server that was closed meanwhile does not have. If it opens no further one, nothing tells when it is through.
 *
 * In a function of its own: what the server's scope reaches must not hold the server.
 */
function watchListen(): { onListen: () => void; afterListen: () => Promise<void> } {
  let onListen: () => void = () => undefined;
  const listening = new Promise<void>((resolve) => (onListen = resolve));
  const lookedUp = async (): Promise<void> => {
    await new Promise<void>((resolve) => lookup("localhost", { all: true }, () => resolve()));
    await new Promise((resolve) => realTimers.setTimeout(resolve, LOOKUP_MARGIN));
  };
  return { onListen, afterListen: () => Promise.race([listening, lookedUp()]) };
}

/**
 * Whether a request came through another server than the app's: Fastify makes one for each further address of
 * `localhost`. The server's scope does not see it arrive, so it gets a scope of its own to be waited for.
 */
function isElsewhere(request: FastifyRequest, server: FastifyInstance["server"]): boolean {
  const { server: actual } = request.raw.socket as { server?: unknown };
  return actual !== undefined && actual !== server;
}

/** The record of a request, whose scope is made if need be. */
function open(request: FastifyRequest["raw"], state: ServerState): RequestRecord {
  const known = recordOf(request);
  if (known !== undefined) return known;
  // Before our hook has run, the server's scope still knows the response.
  const responder = responderOf(request);
  const response =
    responder instanceof FastifyResponder
      ? responder.reply.raw
      : state.pending().find((pending) => pending.request === request)?.response;
  if (response === undefined)
    throw new TypeError("request.scope: register fastifyBough before the hooks that read it");
  return openRequest(request, response, state);
}

/**
 * Gives each request a scope: `request.scope`, a child of `fastify.scope`. For Fastify 5; register it first.
 *
 * **Cancellation:** as that of `requestScope`: by the client's going away (also during `inject()`), by the `timeout`
 * of the plugin or the route (`config: { bough: { timeout } }`), by the header when `deadlineHeader` is on, and by
 * `app.close()`, which lets running requests finish within `grace`. Fastify's own `request.signal` is another thing:
 * it aborts as soon as a body has been read.
 *
 * **Failure:** a handler that fails because its client is gone answers nothing and is logged as 499, at level info;
 * that does not reach the error handlers. One that runs out of time answers 503, or 504 where the time was another server's,
 * which is logged once at level warn and told to `onCancelled`. The answer is that of `respond`, or of the app's own error
 * handler, which gets the cancellation with a `statusCode`, or in the form of Fastify's errors. Everything else reaches the
 * error handlers unchanged. A task's failure that nobody receives is logged as an error, unless there is an `onError` in the
 * options.
 *
 * @example
 * ```ts
 * import Fastify from "fastify";
 * import { spawn } from "bough";
 * import { fastifyBough } from "bough/fastify";
 *
 * const app = Fastify();
 * await app.register(fastifyBough, { timeout: 10_000 });
 * app.get("/report", { config: { bough: { timeout: 2_000 } } }, async (request) => {
 *   const parts = ["a", "b"].map((part) => spawn(request.scope, async () => part.toUpperCase()));
 *   return Promise.all(parts);
 * });
 * const response = await app.inject("/report");
 * console.log(response.json()); // [ "A", "B" ]
 * await app.close();
 * ```
 */
export const fastifyBough: FastifyPluginAsync<FastifyBoughOptions> = Object.assign(plugin, {
  // What the package fastify-plugin would set: what is decorated here is the registering context's.
  [Symbol.for("skip-override")]: true,
  [Symbol.for("fastify.display-name")]: "bough",
  [Symbol.for("plugin-meta")]: { name: "bough", fastify: "5.x" },
});
