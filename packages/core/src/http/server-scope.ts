import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2Session, IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Server } from "node:net";
import { BoughError } from "../errors/bough-error.js";
import type { TaskInfo } from "../errors/scope-errors.js";
import { callSite } from "../kernel/call-site.js";
import { publishOpen } from "../kernel/diagnostics.js";
import { defer } from "../kernel/defers.js";
import { initialServer, isClosed } from "../kernel/state.js";
import { addHook } from "../kernel/cancel-hooks.js";
import type { ScopeNode } from "../kernel/node.js";
import { backgroundNode } from "../kernel/scope-view.js";
import type { Scope } from "../kernel/scope.js";
import { cancel } from "../kernel/lifecycle.js";
import { linkChild, makeChild } from "../task/child.js";
import { optionNames, type OptionNames } from "../errors/option-names.js";
import { wrongType, checkDuration } from "../errors/validate.js";
import { applyOptions, checkOptions, setIsCancellation, type ScopeOptions } from "../task/options.js";
import { watchHandle } from "../task/orphan.js";
import { nodeOf } from "../task/node-of.js";
import { connectionsOf, protectSending } from "./connections.js";
import { checkDeadlineHeader, deadlineHeaderOf, headerName } from "./deadline-header.js";
import { openIfLimited } from "./open-request.js";
import { checkHooks, type OutcomeHooks } from "./responder.js";
import { setLatest } from "./request-records.js";
import { serverScopeKey } from "./symbols.js";
import {
  ServerHandle,
  SHUTDOWN,
  type ServerScope,
  type ShutdownOptions,
  type ShutdownReport,
} from "./server-handle.js";
import { ServerState } from "./server-state.js";
import { shutDown, stopHookOf } from "./shutdown.js";
import type { AnyRequest, AnyResponse } from "./messages.js";

// The API for a server: `serverScope()` makes the scope of a server once, listens to the server, and returns the owner
// handle. The options and the open requests of a server are in server-state.ts.

/** The options of `serverScope`. On later calls for the same server, options that were given before are kept. */
export interface ServerScopeOptions extends OutcomeHooks<IncomingMessage, ServerResponse> {
  /** The name of the scope. Default: `"server"`. */
  readonly name?: string | undefined;
  /** The parent of the server's scope. When it is cancelled, the server shuts down at once. Default: none, a root. */
  readonly parent?: Scope | undefined;
  /** Milliseconds that running requests get to finish at a shutdown. Default: 10,000. */
  readonly grace?: number | undefined;
  /**
   * Milliseconds between the beginning of a shutdown and the end of listening, for load balancers that poll a readiness
   * probe. Meanwhile `draining` is true, so the probe can answer 503, and the server still takes requests. Default: 0.
   */
  readonly drainDelay?: number | undefined;
  /** Milliseconds that each request has. Default: no limit. */
  readonly timeout?: number | undefined;
  /** Lets a header limit the requests: `true` for `x-request-timeout-ms`, or a name. Default: off. */
  readonly deadlineHeader?: string | boolean | undefined;
  /**
   * Receives the failures of requests and jobs that no other code receives. Default: those of requests are printed with
   * `console.error`, and those of jobs are unhandled rejections.
   */
  readonly onError?: ((error: unknown, task: TaskInfo) => void) | undefined;
  /** Says which further errors are cancellations, in every request and job; as in `ScopeOptions`. Default: none. */
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

/** The slot of a server. See symbols.ts. */
interface ServerSlot {
  [serverScopeKey]?: NodeServerHandle | undefined;
}

class NodeServerHandle extends ServerHandle<ServerState> {
  readonly #server: Server;

  constructor(node: ScopeNode, server: Server, state: ServerState) {
    super(node, state);
    this.#server = server;
  }

  static stateOf(handle: NodeServerHandle): ServerState {
    return handle.serverState;
  }

  protected override shutDown(options?: ShutdownOptions): Promise<ShutdownReport> {
    return shutDown(this.#server, this.serverState, options);
  }
}

/**
 * Returns the scope of a server: the parent of the scopes of its requests, and the place for work that outlives a request.
 *
 * There is one per server, made on the first call. The failure of a request or job does not affect the others.
 *
 * **Cancellation:** cancelling or closing it, or its `parent`, shuts the server down without a grace period;
 * `shutdown()` is the way to end it. If the server is closed by other means, the scope ends with it.
 *
 * @param server - Of `node:http`, `node:https` or `node:http2`; listening or not yet.
 * @param options - `grace` and `timeout` in ms. Options that an earlier call has given are kept.
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
    typeof server === "object" && server !== null ? (server as ServerSlot)[serverScopeKey] : undefined;
  // A server can listen again when it was closed.
  const handle = known !== undefined && known.state !== "closed" ? known : undefined;
  if (handle !== undefined && options === noOptions) return handle;
  checkServer(server);
  checkServerOptions("serverScope", options);
  return handle === undefined ? create(server, options, site) : update(handle, options);
}

const noOptions: ServerScopeOptions = {};

/** The state of a server, whose scope is made if it has none. */
export function serverStateOf(server: Server, site?: string): ServerState {
  return NodeServerHandle.stateOf(openServer(server, noOptions, site) as NodeServerHandle);
}

function create(server: Server, options: ServerScopeOptions, site: string | undefined): ServerScope {
  const parent =
    options.parent === undefined ? backgroundNode : nodeOf("serverScope", "parent", options.parent);
  const node = makeChild("serverScope", parent, options.name ?? "server", initialServer);
  linkChild(node, undefined, site);
  const state = new ServerState(node);
  const handle = new NodeServerHandle(node, server, state);
  const isRefused = isClosed(node);
  const before = (server as ServerSlot)[serverScopeKey];
  (server as ServerSlot)[serverScopeKey] = handle;
  if (before !== undefined && !server.listening)
    state.previousState = previousOf(NodeServerHandle.stateOf(before));
  update(handle, options);
  const connections = connectionsOf(server);
  protectSending(server);
  if (before === undefined) {
    listen(server);
    server.on("close", () => {
      const current = (server as ServerSlot)[serverScopeKey];
      if (current !== undefined) end(NodeServerHandle.stateOf(current));
    });
  }
  state.adopt(connections);
  if (isRefused) {
    void shutDown(server, state, { grace: 0 });
    return handle;
  }
  addHook(node, stopHookOf(server, state));
  awaitShutdown(node, state);
  // "ignore": a server that is dropped without having listened leaves nothing undone.
  watchHandle(handle, node, "ignore");
  publishOpen(node, "server");
  return handle;
}

/** Listens to the server for its requests. It looks the state up each time: a server that listens again gets a new one. */
function listen(server: Server): void {
  const onRequest = (request: AnyRequest, response: AnyResponse): void => {
    const state = serverStateOf(server);
    if (state.track(request, response) && isNextOnConnection(request, response, server))
      setLatest(request, response, state);
    openIfLimited(request, response, state);
  };
  if (!isHttp2(server)) return void server.prependListener("request", onRequest);
  server.on("session", (session: Http2Session) => serverStateOf(server).addSession(session));
  server.prependListener("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    if (headers[":method"] === "CONNECT") connectionsOf(server).addTunnel(stream);
    else if (server.listenerCount("request") === 0) connectionsOf(server).addStream(stream);
  });
  // The first listener of `request` switches on Node's compatibility API, which answers CONNECT with 405.
  if (server.listenerCount("request") > 0) return void server.prependListener("request", onRequest);
  server.on("newListener", function follow(event) {
    if (event !== "request") return;
    server.off("newListener", follow);
    server.prependListener("request", onRequest);
  });
}

/** Whether a request came to this server over HTTP/1.1, and its response is the next one of its connection. */
function isNextOnConnection(request: AnyRequest, response: AnyResponse, server: Server): boolean {
  if (request.httpVersionMajor >= 2) return false;
  const { socket } = request as { socket?: { server?: object } };
  return (
    socket !== undefined &&
    socket === (response as { socket?: object | null }).socket &&
    socket.server === server
  );
}

function isHttp2(server: Server): boolean {
  return "updateSettings" in server;
}

/** The last state with a report. Not a chain of states: it would grow with each call. */
function previousOf(state: ServerState): ServerState {
  const { previousState } = state;
  state.previousState = undefined;
  return previousState ?? state;
}

/** A separate function, because a closure in the function of the server's listeners would hold the server. */
function awaitShutdown(node: ScopeNode, state: ServerState): void {
  defer(node, "serverScope", () => state.drained, SHUTDOWN);
}

/** Ends the scope of a server that was closed without a shutdown. */
function end(state: ServerState): void {
  if (state.drained === undefined) cancel(state.node, "shutdown", undefined);
}

function update(handle: NodeServerHandle, options: ServerScopeOptions): ServerScope {
  const state = NodeServerHandle.stateOf(handle);
  const { node } = state;
  if (options.parent !== undefined && nodeOf("serverScope", "parent", options.parent) !== node.parent) {
    const message = `serverScope: parent must be given in the first call for a server; this server already has the scope ${JSON.stringify(node.path)}`;
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
  if (options.onError !== undefined && node.extras?.settings?.onError === undefined)
    applyOptions(node, { onError: options.onError });
  if (options.isCancellation !== undefined) setIsCancellation(node, options.isCancellation);
  return handle;
}

export function checkServerOptions(
  operation: string,
  options: ServerScopeOptions,
  names: OptionNames = serverScopeOptionNames,
): void {
  checkOptions(operation, options, names);
  if (options.parent !== undefined) nodeOf(operation, "parent", options.parent);
  checkDuration(operation, "drainDelay", options.drainDelay);
  checkDeadlineHeader(operation, options.deadlineHeader);
  checkHooks(operation, options);
}

function checkServer(server: unknown): void {
  if (typeof server === "object" && server !== null && "listen" in server && "listening" in server) return;
  throw wrongType("serverScope", "server must be an HTTP server", server);
}
