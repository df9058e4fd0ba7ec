import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2Session, IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Server } from "node:net";
import { BoughError } from "../errors/bough-error.js";
import { detached } from "../errors/detach-stack.js";
import type { TaskInfo } from "../errors/scope-errors.js";
import { callSite, recordSite } from "../kernel/call-site.js";
import { opened } from "../kernel/diagnostics.js";
import { defer } from "../kernel/defers.js";
import { HANDLE, SUPERVISE } from "../kernel/state.js";
import { addHook } from "../kernel/cancel-hooks.js";
import { backgroundNode, ScopeNode } from "../kernel/node.js";
import type { Scope } from "../kernel/scope.js";
import { cancel } from "../kernel/lifecycle.js";
import { link } from "../kernel/tree.js";
import { admits, bornCancelled } from "../task/admit.js";
import type { ShutdownNotice } from "../process/shutdown-notice.js";
import { Handle, type ScopeHandle } from "../task/handle.js";
import { optionNames, type OptionNames } from "../errors/option-names.js";
import { wrongType, checkDuration, checkOptionsObject } from "../errors/validate.js";
import { applyOptions, checkOptions, judgeBy, type ScopeOptions } from "../task/options.js";
import { watchHandle } from "../task/orphan.js";
import { nodeOf } from "../task/resolve.js";
import { connectionsOf, spareSending } from "./connections.js";
import { checkDeadlineHeader, deadlineHeaderOf, headerName } from "./deadline-header.js";
import { openIfBounded } from "./open-request.js";
import { checkHooks, type OutcomeHooks } from "./responder.js";
import { serverScopeKey } from "./symbols.js";
import { ServerState, SHUTDOWN } from "./server-state.js";
import { shutDown, StopHook, type ShutdownOptions, type ShutdownReport } from "./shutdown.js";
import type { AnyRequest, AnyResponse } from "./messages.js";

/** What `serverScope` takes. What was given first counts. */
export interface ServerScopeOptions extends OutcomeHooks<IncomingMessage, ServerResponse> {
  /** Default `"server"`. */
  readonly name?: string | undefined;
  /** What the server's scope is a child of. Default: a root. When it is cancelled, the server shuts down at once. */
  readonly parent?: Scope | undefined;
  /** Milliseconds that a shutdown lets running requests finish. Default 10,000. */
  readonly grace?: number | undefined;
  /**
   * Milliseconds between the beginning of a shutdown and the end of listening, for load balancers that look at a readiness
   * probe: it answers 503 while `draining`, and the server takes what still comes. Default 0.
   */
  readonly drainDelay?: number | undefined;
  /** Milliseconds that each request has. Default: no limit. */
  readonly timeout?: number | undefined;
  /** Lets a header bound the requests: `true` for `x-request-timeout-ms`, or a name. Default: off. */
  readonly deadlineHeader?: string | boolean | undefined;
  /**
   * Receives the failures of requests and jobs that nobody else does. Without it, those of requests are printed with
   * `console.error`, and those of jobs are unhandled rejections.
   */
  readonly onError?: ((error: unknown, task: TaskInfo) => void) | undefined;
  /** What else counts as the cancellation coming back, in every request and job; as in `ScopeOptions`. */
  readonly isCancellation?: ScopeOptions["isCancellation"];
}

export const serverScopeOptionNames: OptionNames = optionNames<ServerScopeOptions>({
  name: true,
  parent: true,
  grace: true,
  drainDelay: true,
  timeout: true,
  deadlineHeader: true,
  onError: true,
  isCancellation: true,
  onCancelled: true,
  respond: true,
});

const shutdownOptionNames = optionNames<ShutdownOptions>({ grace: true, drainDelay: true });

/** The owner handle of a server's scope. */
export interface ServerScope extends ScopeHandle, ShutdownNotice {
  /**
   * Tells those who wait for `onShutdown`, waits for `drainDelay`, stops accepting, lets what is running finish within the grace period, then cancels it with kind `"shutdown"`,
   * waits for its clean-up as long again (a second at least), answers 503 where a handler still has not, and
   * reports it as stuck. Connections that wait for their next request are closed.
   *
   * What is running is the requests, and the tasks of the server's scope that are no daemons.
   *
   * @param options - `grace` and `drainDelay` in ms. Default: the server's.
   * @returns What became of the requests. A second call gets the same.
   * @throws The failure of a cleanup of the server's scope (as a rejection), when all is down.
   */
  shutdown(options?: ShutdownOptions): Promise<ShutdownReport>;
}

interface Attached {
  [serverScopeKey]?: ServerHandle | undefined;
}

class ServerHandle extends Handle implements ServerScope {
  readonly #server: Server;
  readonly #state: ServerState;

  constructor(node: ScopeNode, server: Server, state: ServerState) {
    super(node);
    this.#server = server;
    this.#state = state;
  }

  static stateOf(handle: ServerHandle): ServerState {
    return handle.#state;
  }

  get draining(): boolean {
    return this.#state.draining.hasBegun;
  }

  get drainSignal(): AbortSignal {
    return this.#state.draining.signal;
  }

  onShutdown(callback: (scope: Scope) => unknown): () => boolean {
    try {
      // oxlint-disable-next-line typescript/unbound-method -- only its identity matters
      return this.#state.draining.add(callback, callSite(ServerHandle.prototype.onShutdown));
    } catch (error) {
      throw detached(error);
    }
  }

  async shutdown(options?: ShutdownOptions): Promise<ShutdownReport> {
    if (options !== undefined) checkOptionsObject("shutdown", options, shutdownOptionNames);
    checkDuration("shutdown", "grace", options?.grace);
    checkDuration("shutdown", "drainDelay", options?.drainDelay);
    return shutDown(this.#server, this.#state, options);
  }
}

/**
 * The scope of a server, in which its requests' scopes are, and which is the place for work that outlives a
 * request. One per server, made on the first call. A failing request or job does not concern the others.
 *
 * **Cancellation:** cancelling or closing it, or its `parent`, shuts the server down without a grace period;
 * `shutdown()` is the way to end it. It ends with the server when that is closed by other means.
 *
 * @param server - Of `node:http`, `node:https` or `node:http2`; listening or not yet.
 * @param options - `grace` and `timeout` in ms. What an earlier call has given is kept.
 * @returns The owner handle; the server holds it.
 * @throws {BoughError} If the scope exists and has another parent.
 * @throws {TypeError | RangeError} If an argument is of the wrong type or out of range.
 * @example
 * ```ts
 * import { createServer } from "node:http";
 * import { spawn } from "bough";
 * import { requestScope, serverScope } from "bough/http";
 *
 * const server = createServer((request, response) => {
 *   const scope = requestScope(request, response, { timeout: 5_000 });
 *   const work = spawn(scope, async ({ signal }) => (signal.aborted ? "late" : "hello"));
 *   work.then((text) => response.end(text), () => response.destroy());
 * });
 * const scope = serverScope(server, { grace: 2_000 });
 * await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
 * const report = await scope.shutdown();
 * console.log(report.stuck.length); // 0
 * ```
 */
export function serverScope(server: Server, options: ServerScopeOptions = {}): ServerScope {
  return openServer(server, options, callSite(serverScope));
}

/** `serverScope`, for another public function, which was called at `site`; see `callSite`. */
export function openServer(
  server: Server,
  options: ServerScopeOptions,
  site: string | undefined,
): ServerScope {
  const known =
    typeof server === "object" && server !== null ? (server as Attached)[serverScopeKey] : undefined;
  // A server can listen again when it was closed.
  const handle = known !== undefined && known.state !== "closed" ? known : undefined;
  if (handle !== undefined && options === noOptions) return handle;
  checkServer(server);
  checkServerOptions("serverScope", options);
  return handle === undefined ? create(server, options, site) : update(handle, options);
}

const noOptions: ServerScopeOptions = {};

/** The state of a server's scope, which is made if need be. */
export function serverStateOf(server: Server, site?: string): ServerState {
  return ServerHandle.stateOf(openServer(server, noOptions, site) as ServerHandle);
}

function create(server: Server, options: ServerScopeOptions, site: string | undefined): ServerScope {
  const parent =
    options.parent === undefined ? backgroundNode : nodeOf("serverScope", "parent", options.parent);
  const node = new ScopeNode(parent, options.name ?? "server", HANDLE | SUPERVISE);
  recordSite(node, site);
  const state = new ServerState(node);
  const handle = new ServerHandle(node, server, state);
  const admitted = admits("serverScope", parent);
  if (admitted) link(parent, node);
  else bornCancelled(node);
  const before = (server as Attached)[serverScopeKey];
  (server as Attached)[serverScopeKey] = handle;
  if (before !== undefined && !server.listening) state.before = previousOf(ServerHandle.stateOf(before));
  update(handle, options);
  const connections = connectionsOf(server);
  spareSending(server);
  if (before === undefined) {
    listen(server);
    server.on("close", () => {
      const state = (server as Attached)[serverScopeKey];
      if (state !== undefined) end(ServerHandle.stateOf(state));
    });
  }
  state.adopt(connections);
  if (!admitted) {
    void shutDown(server, state, { grace: 0 });
    return handle;
  }
  addHook(node, new StopHook(server, state));
  awaitShutdown(node, state);
  // Quietly: a server that nobody listens to and nobody holds leaves nothing undone.
  watchHandle(handle, node, "ignore");
  opened(node, "server");
  return handle;
}

/** Through the server, which may get another scope when it listens again. */
function listen(server: Server): void {
  const onRequest = (request: AnyRequest, response: AnyResponse): void => {
    const state = serverStateOf(server);
    state.track(request, response);
    openIfBounded(request, response, state);
  };
  if (!isHttp2(server)) return void server.prependListener("request", onRequest);
  server.on("session", (session: Http2Session) => serverStateOf(server).addSession(session));
  server.prependListener("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    if (headers[":method"] === "CONNECT") connectionsOf(server).addTunnel(stream);
    else if (server.listenerCount("request") === 0) connectionsOf(server).addStream(stream);
  });
  // The first listener for `request` switches Node's compatibility API on, which answers CONNECT with 405.
  if (server.listenerCount("request") > 0) return void server.prependListener("request", onRequest);
  server.on("newListener", function follow(event) {
    if (event !== "request") return;
    server.off("newListener", follow);
    server.prependListener("request", onRequest);
  });
}

function isHttp2(server: Server): boolean {
  return "updateSettings" in server;
}

/** The last that has a report. No chain of them: it would grow with each call. */
function previousOf(state: ServerState): ServerState {
  const { before } = state;
  state.before = undefined;
  return before ?? state;
}

/** In a function of its own: a closure beside those of the server's listeners would hold the server. */
function awaitShutdown(node: ScopeNode, state: ServerState): void {
  defer(node, "serverScope", () => state.drained, SHUTDOWN);
}

/** The server was closed, by whatever means. */
function end(state: ServerState): void {
  if (state.drained === undefined) cancel(state.node, "shutdown", undefined);
}

function update(handle: ServerHandle, options: ServerScopeOptions): ServerScope {
  const state = ServerHandle.stateOf(handle);
  const { node } = state;
  if (options.parent !== undefined && nodeOf("serverScope", "parent", options.parent) !== node.parent) {
    const message = `serverScope: parent must be given on the first call for a server; it has the scope ${JSON.stringify(node.path)}`;
    throw new BoughError("BOUGH_SERVER_SCOPE", message);
  }
  state.grace ??= options.grace;
  state.drainDelay ??= options.drainDelay;
  state.timeout ??= options.timeout;
  if (options.onCancelled !== undefined || options.respond !== undefined) state.hooks ??= options;
  if (options.deadlineHeader !== undefined && state.deadlineHeader === undefined) {
    state.deadlineHeader = options.deadlineHeader;
    const name = deadlineHeaderOf(options.deadlineHeader);
    if (name !== undefined && node.state !== "closed") node.set(headerName, name);
  }
  if (options.onError !== undefined && node.rarely?.settings?.onError === undefined)
    applyOptions(node, { onError: options.onError });
  if (options.isCancellation !== undefined) judgeBy(node, options.isCancellation);
  return handle;
}

export function checkServerOptions(
  operation: string,
  options: ServerScopeOptions,
  names: OptionNames = serverScopeOptionNames,
): void {
  checkOptions(operation, options, names);
  checkDuration(operation, "drainDelay", options.drainDelay);
  checkDeadlineHeader(operation, options.deadlineHeader);
  checkHooks(operation, options);
}

function checkServer(server: unknown): void {
  if (typeof server === "object" && server !== null && "listen" in server && "listening" in server) return;
  throw wrongType("serverScope", "server must be an HTTP server", server);
}
