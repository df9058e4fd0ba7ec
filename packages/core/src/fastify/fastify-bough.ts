import { lookup } from "node:dns";
import type { Server } from "node:net";
import type { FastifyInstance, FastifyPluginAsync, FastifyRequest } from "fastify";
import { callSite, recordSite } from "../kernel/call-site.js";
import { hasScopeStores } from "../kernel/diagnostics.js";
import { protectSending } from "../http/connections.js";
import { deadlineHeaderOf } from "../http/deadline-header.js";
import { openRequest } from "../http/open-request.js";
import type { RequestRecord } from "../http/request.js";
import { setResponder, recordOf, responderOf } from "../http/request-records.js";
import {
  checkServerOptions,
  openServer,
  serverScopeOptionNames,
  serverStateOf,
  type ServerScopeOptions,
} from "../http/server-scope.js";
import type { ServerScope } from "../http/server-handle.js";
import type { ConnectionPolicy, ServerState } from "../http/server-state.js";
import { realTimers } from "../kernel/platform.js";
import type { Scope } from "../kernel/scope.js";
import { optionNames, type OptionNames } from "../errors/option-names.js";
import { checkDuration, checkOptionsObject } from "../errors/validate.js";
import { afterPreClose } from "./patches.js";
import { FastifyResponder, type Hooks } from "./responder.js";

// The integration for Fastify: the plugin, its decorations and its hooks.

/** The options of `fastifyBough`. `timeout` is that of routes without a `config.bough.timeout`. */
export interface FastifyBoughOptions extends Omit<ServerScopeOptions, keyof Hooks>, Hooks {}

/** The options of a route, in `config.bough`. */
export interface RouteBoughOptions {
  /** Milliseconds that a request of this route has; `Infinity` for no limit. Default: the plugin's `timeout`. */
  readonly timeout?: number | undefined;
}

/** The options of Fastify's own `register`, which it passes on. */
interface RegisterOptions {
  readonly prefix?: unknown;
  readonly logLevel?: unknown;
  readonly logSerializers?: unknown;
}

const registerOptionNames = optionNames<RegisterOptions>({
  prefix: true,
  logLevel: true,
  logSerializers: true,
});
const fastifyBoughOptionNames: OptionNames = {
  all: serverScopeOptionNames.all,
  has: (name) => serverScopeOptionNames.has(name) || registerOptionNames.has(name),
};
const routeBoughOptionNames = optionNames<RouteBoughOptions>({ timeout: true });

declare module "fastify" {
  interface FastifyRequest {
    /** The scope of the request, a child of `fastify.scope`, made on the first read. See `bough/fastify`. */
    readonly scope: Scope;
  }
  interface FastifyInstance {
    /** The scope of the server: the place for work that outlives a request. */
    readonly scope: ServerScope;
  }
  interface FastifyContextConfig {
    readonly bough?: RouteBoughOptions;
  }
}

/** How much later than ours Fastify's look-up of the same name may end, in ms. */
const LOOKUP_MARGIN = 50;

/** The output of `printRoutes()` for an app without routes. */
const NO_ROUTES = "(empty tree)";

/** The plugin; see `fastifyBough`. */
const plugin: FastifyPluginAsync<FastifyBoughOptions> = async (fastify, options) => {
  const { timeout, onCancelled, respond, ...others } = options;
  const {
    prefix: _prefix,
    logLevel: _level,
    logSerializers: _serializers,
    ...serverOptions
  } = others as RegisterOptions & typeof others;
  const hooks: Hooks = { onCancelled, respond };
  checkServerOptions("fastifyBough", options as ServerScopeOptions, fastifyBoughOptionNames);
  // Fastify calls the plugin later, when no code of the user is on the stack.
  const onError = logTo(new WeakRef(fastify));
  const scope = openServer(fastify.server, { onError, ...serverOptions }, undefined);
  const state = serverStateOf(fastify.server);
  fastify.decorate("scope", scope);
  fastify.decorateRequest("scope", {
    getter: function scope(this: FastifyRequest): Scope {
      const { node } = openRaw(this.raw, state);
      recordSite(node, callSite(scope));
      return node;
    },
  });

  addRequestHooks(fastify, state, hooks, timeout);
  addShutdownHooks(fastify, scope, state);
};

/** Gives each request its responder, and its scope if it is limited, and receives the failures of its handler. */
function addRequestHooks(
  fastify: FastifyInstance,
  state: ServerState,
  hooks: Hooks,
  timeout: number | undefined,
): void {
  const { server } = fastify;
  const header = deadlineHeaderOf(state.deadlineHeader);
  // Fastify makes a new `routeOptions` on each read. Routes that were declared before may have options.
  let looksAtRoutes = fastify.printRoutes() !== NO_ROUTES;

  const applyLimits = (request: FastifyRequest): void => {
    const limit = (looksAtRoutes ? request.routeOptions.config.bough?.timeout : undefined) ?? timeout;
    if (limit !== undefined && limit !== Infinity) openRaw(request.raw, state).limit(limit);
    else if (header !== undefined && header in request.raw.headers) openRaw(request.raw, state);
    else if (isFromOtherServer(request, server)) {
      protectSending((request.raw.socket as unknown as { server: Server }).server);
      openRaw(request.raw, state);
    }
  };

  fastify.addHook("onRequest", (request, reply, done) => {
    const responder = new FastifyResponder(request, reply, hooks);
    setResponder(request.raw, responder);
    // For tracing, the handler runs in the stores that are bound to the diagnostics channel of scopes.
    if (hasScopeStores() && recordOf(request.raw) === undefined)
      return void openRequest(request.raw, reply.raw, state, undefined, () => {
        applyLimits(request);
        done();
      });
    applyLimits(request);
    done();
  });

  // If `done` is not called, neither the error handlers nor the log get the error.
  fastify.addHook("onError", (request, reply, error, done) => {
    const responder = responderOf(request.raw);
    if (!(responder instanceof FastifyResponder)) return done();
    // Another reply belongs to an answer in the handler's place, which goes to the error handlers.
    if (reply !== responder.reply || !responder.onFailure(error, state)) done();
  });

  fastify.addHook("onRoute", ({ config }) => {
    if (config?.bough !== undefined) {
      checkOptionsObject("fastifyBough: config.bough", config.bough, routeBoughOptionNames);
    }
    checkDuration("fastifyBough", "config.bough.timeout", config?.bough?.timeout);
    if (config?.bough?.timeout !== undefined) looksAtRoutes = true;
  });
}

/** Shuts the server's scope down when Fastify closes. */
function addShutdownHooks(fastify: FastifyInstance, scope: ServerScope, state: ServerState): void {
  const { server } = fastify;
  let listens = false;
  const policy = (): ConnectionPolicy => connectionPolicyOf(fastify, listens);
  closePolicies.set(server, policy);
  const { onListen, afterListen } = watchListen();
  fastify.addHook("onListen", async () => {
    listens = true;
    onListen();
  });
  state.afterListen = afterListen;
  afterPreClose(fastify, async (hasBegun) => {
    if (handedOver.has(server)) return;
    if (!hasBegun) return scope.state === "open" ? void (await scope.shutdown({ grace: 0 })) : undefined;
    state.connectionPolicy = policy();
    const { stuck } = await scope.shutdown({ drainDelay: 0 });
    if (stuck.length > 0) fastify.log.warn({ stuck }, "requests or tasks are stuck");
  });
}

/**
 * Holds the app weakly, in a separate function: the server's scope must not reference the server, which holds its
 * handle.
 */
function logTo(app: WeakRef<FastifyInstance>): NonNullable<ServerScopeOptions["onError"]> {
  return (error, { path }) => {
    const log = app.deref()?.log;
    if (log === undefined) throw error; // as if there were no `onError`
    log.error({ err: error, task: path }, "task failed");
  };
}

/**
 * How the app's `close()` treats its connections, by server. Not on the server's state, which must not reference the
 * server.
 */
const closePolicies = new WeakMap<Server, () => ConnectionPolicy>();

/** The servers that a framework around Fastify has shut down, and whose failures it has reported. */
const handedOver = new WeakSet<Server>();

/**
 * For a framework that shuts the server of its Fastify app down before it calls the app's `close()`: that call then
 * does not shut it down. Returns how `close()` would treat the connections.
 */
export function handOverShutdown(server: Server): ConnectionPolicy | undefined {
  handedOver.add(server);
  return closePolicies.get(server)?.();
}

/** How `close()` treats the connections of the app. */
function connectionPolicyOf({ server, initialConfig }: FastifyInstance, listens: boolean): ConnectionPolicy {
  // Fastify does not close a server that other code has told to listen.
  if (server.listening && !listens) return "leave";
  // `false`: Fastify answers further requests with 503.
  const { forceCloseConnections } = initialConfig;
  return forceCloseConnections === true ? "force" : forceCloseConnections === false ? "keep" : "drain";
}

/**
 * Returns a function that waits for the end of Fastify's `listen()`. Once it listens on `localhost`, Fastify looks up
 * further addresses and then reads the address of the server, which a closed server does not have. It emits no event if
 * it finds none. A separate function, since the server's scope must not reach the server.
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
 * Whether a request arrived at another server than the app's: Fastify creates one for each further address of
 * `localhost`. The server's scope does not see such a request, so it always gets a scope, for which a shutdown waits.
 */
function isFromOtherServer(request: FastifyRequest, server: FastifyInstance["server"]): boolean {
  const { server: actual } = request.raw.socket as { server?: unknown };
  return actual !== undefined && actual !== server;
}

/** The record of a request. Opens its scope if needed. */
export function openRaw(request: FastifyRequest["raw"], state: ServerState): RequestRecord {
  const known = recordOf(request);
  if (known !== undefined) return known;
  // Before our hook has run, only the server's state knows the response.
  const responder = responderOf(request);
  const response =
    responder instanceof FastifyResponder
      ? responder.reply.raw
      : state.openRequests().find((open) => open.request === request)?.response;
  if (response === undefined)
    throw new TypeError("request.scope: register fastifyBough before the hooks that read it");
  return openRequest(request, response, state);
}

/**
 * Gives each request a scope: `request.scope`, a child of `fastify.scope`.
 *
 * For Fastify 5. Register it first.
 *
 * **Cancellation:** as with `requestScope`:
 *
 * - when the client goes away, also during `inject()`;
 * - by the `timeout` of the plugin or of the route (`config: { bough: { timeout } }`);
 * - by the header, if `deadlineHeader` is on;
 * - by `app.close()`, which lets running requests finish within `grace`.
 *
 * Fastify's own `request.signal` is different: it aborts as soon as a body has been read.
 *
 * **Failure:** a handler that fails because its client has gone is not answered. It is logged as 499, at level info,
 * and the error handlers do not get its error. A request that runs out of time is answered with 503, or with 504 if
 * another server ran out of time, and is logged once at level warn. `onCancelled` is called for all three. The answer
 * is that of `respond`, or of the app's own error handler, which gets the cancellation with a `statusCode`, or has the
 * form of Fastify's errors. Every other error reaches the error handlers unchanged. The failure of a task that nothing
 * receives is logged as an error, unless the options have an `onError`.
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
  // As the package fastify-plugin sets it: the decorations belong to the context that registers the plugin.
  [Symbol.for("skip-override")]: true,
  [Symbol.for("fastify.display-name")]: "bough",
  [Symbol.for("plugin-meta")]: { name: "bough", fastify: "5.x" },
});
