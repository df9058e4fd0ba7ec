import type { Http2Session } from "node:http2";
import { createReason } from "../errors/cancelled.js";
import type { ScopeNode } from "../kernel/node.js";
import { useDirectSignals } from "./direct-signals.js";
import { LastRequest, type Transport, type Connection, type OpenRequest } from "./connections.js";
import { ShutdownAnnouncement } from "../process/shutdown-notice.js";
import { RequestRecord, type RequestHost } from "./request.js";
import { forgetLatest, forgetLatestOf, recordOf, responderOf } from "./request-records.js";
import { NodeResponder } from "./node-responder.js";
import { markLogged, type OutcomeHooks, type Responder } from "./responder.js";
import { setBurstEnd } from "../kernel/monotonic-clock.js";
import { isFake, realTimers, setUnrefTimer } from "../kernel/platform.js";
import { lastRequestKey, markDisconnected } from "./symbols.js";
import { isMock, isResponse, DefaultName, type AnyRequest, type AnyResponse } from "./messages.js";

// The state of a server with a scope: its options, its open requests, and whether it shuts down. server-scope.ts
// listens to the server. shutdown.ts takes the steps of a shutdown.

/** An HTTP/2 session: `close` sends GOAWAY. */
type Closable = Pick<Http2Session, "close" | "destroy" | "closed">;

/** How long one reading of the clock serves for the ages of requests in reports, in ms. */
const CLOCK_STEP = 5;

/** Reads the clock for ages once per CLOCK_STEP instead of once per request, as nginx does. */
function useCoarseClock(): void {
  if (isFake(realTimers.setTimeout)) return; // a fake timer might never be advanced
  setBurstEnd((forget) => setUnrefTimer(forget, CLOCK_STEP));
}

/**
 * How a shutdown treats the connections of the server.
 *
 * - `"drain"`: asks the clients to close, accepts requests that are on their way, and closes the rest.
 * - `"force"`: asks the clients to close, and closes idle connections at once.
 * - `"keep"`: does not ask the clients, since the framework answers further requests itself, and closes idle
 *   connections.
 * - `"leave"`: does nothing. The server belongs to other code and continues.
 */
export type ConnectionPolicy = "drain" | "force" | "keep" | "leave";

/**
 * The options and the open requests of a server, including requests without a scope.
 *
 * Costs one entry per connection and, except on HTTP/2, no listener per request.
 */
export class ServerState implements RequestHost<AnyRequest, AnyResponse> {
  readonly node: ScopeNode;
  timeout: number | undefined = undefined;
  grace: number | undefined = undefined;
  drainDelay: number | undefined = undefined;
  readonly draining: ShutdownAnnouncement;
  /** The state from before a `close()`, if the server has not listened since. */
  previousState: ServerState | undefined = undefined;
  deadlineHeader: string | boolean | undefined = undefined;
  /** Whether each connection must close after its next response. */
  closing = false;
  connectionPolicy: ConnectionPolicy = "drain";
  /** Awaited after a `listen()` that a shutdown has interrupted, since the framework continues it. */
  afterListen: (() => Promise<unknown>) | undefined = undefined;
  /** Called after each request, which may have been the last one. */
  onRequestDone: ((record: RequestRecord) => void) | undefined = undefined;
  /** The responder of requests without a framework. */
  Responder: typeof NodeResponder = NodeResponder;
  /** Identifies the middleware that has seen this state last, and need not find it again. */
  integration: symbol | undefined = undefined;
  /** The application's hooks for cancelled requests. */
  hooks: OutcomeHooks<never, never> | undefined = undefined;
  /** Settles when a shutdown has closed the connections. `undefined` before the shutdown. */
  drained: Promise<void> | undefined = undefined;
  readonly sessions: Set<Closable> = new Set();
  readonly #lingering = new WeakSet<Closable>();
  readonly #connections = new Set<LastRequest>();
  /** The requests that arrived after the scope had ended. They are not in it. */
  readonly #lateRequests = new Set<RequestRecord>();

  constructor(node: ScopeNode) {
    this.node = node;
    this.draining = new ShutdownAnnouncement(node);
    useDirectSignals();
    useCoarseClock();
  }

  /**
   * Adds the requests that are already open, and those for which Node emits no `request`, because their client expects
   * 100.
   */
  adopt(connections: Iterable<Connection>): void {
    for (const { response, session } of connections) {
      if (session !== undefined) this.addSession(session);
      if (response !== undefined) this.track(response.req, response);
    }
  }

  /** Adds a request that has arrived. Returns false if it was added before. */
  track(request: AnyRequest, response: AnyResponse): boolean {
    const { stream } = request as { stream?: Transport & { session?: Http2Session } };
    const transport = request.httpVersionMajor === 2 ? stream : (request.socket as Transport | undefined);
    if (transport === undefined) return false;
    let connection = transport[lastRequestKey];
    while (connection !== undefined && connection.server !== this) connection = connection.next;
    if (connection === undefined) connection = this.#connect(transport, request, response);
    else if (!connection.add(request, response)) return false;
    if (connection.isMock) this.#trackMock(connection);
    if (stream?.session !== undefined) this.addSession(stream.session);
    if (!this.closing || this.connectionPolicy === "keep") return true;
    const { earlier } = connection;
    if (earlier !== undefined) keepAlive(earlier.response, true); // otherwise the connection would close before this answer
    keepAlive(response, false);
    return true;
  }

  #connect(transport: Transport, request: AnyRequest, response: AnyResponse): LastRequest {
    const connection = new LastRequest(this, request, response);
    connection.isMock = isMock(request);
    this.#connections.add(connection);
    const first = transport[lastRequestKey];
    if (first !== undefined) {
      connection.next = first.next;
      first.next = connection;
      return connection;
    }
    transport[lastRequestKey] = connection;
    // Before Node closes the responses, so that their listeners see the status.
    transport.prependOnceListener?.("close", () => {
      forgetLatestOf(transport);
      for (let at = transport[lastRequestKey]; at !== undefined; at = at.next) at.server.onClose(at);
    });
    return connection;
  }

  /** Removes the connection of a mock at the end of its last response, which may not close either. */
  #trackMock(connection: LastRequest): void {
    const { response } = connection;
    this.#connections.add(connection);
    for (const event of ["finish", "close"])
      response.once(event, () => {
        if (connection.response === response) this.#connections.delete(connection);
      });
  }

  onClose(connection: LastRequest): void {
    this.#connections.delete(connection);
    for (let at: OpenRequest | undefined = connection; at !== undefined; at = at.earlier)
      this.#onDisconnect(at);
  }

  /** Ends a request whose connection has closed. Its outcome is 499 unless it was answered. */
  #onDisconnect({ request, response }: OpenRequest): void {
    const record = recordOf(request);
    if (record !== undefined) return record.done();
    if (!isResponse(response) || response.writableEnded) return;
    markDisconnected(response);
    const responder = responderOf(request) ?? (this.hooks && this.createResponder(request, response));
    if (responder === undefined) return;
    const path = `${this.node.path}/${responder.name ?? new DefaultName(request).name}`;
    markLogged(request);
    responder.log({ status: 499, error: createReason("disconnected", path, undefined) }, false);
  }

  /** The requests whose responses are not complete. */
  openRequests(): OpenRequest[] {
    const found: OpenRequest[] = [];
    for (const last of this.#connections) {
      for (let at: OpenRequest | undefined = last; at !== undefined; at = at.earlier)
        if (!at.response.destroyed) found.push(at);
    }
    return found;
  }

  addLateRequest(record: RequestRecord): void {
    this.#lateRequests.add(record);
  }

  createResponder(request: AnyRequest, response: AnyResponse): Responder {
    return new this.Responder(request, response, this.hooks);
  }

  onDone(record: RequestRecord): void {
    forgetLatest(record.request);
    if (this.#lateRequests.size > 0) this.#lateRequests.delete(record);
    this.onRequestDone?.(record);
  }

  /** The open requests that have a scope. */
  get records(): readonly RequestRecord[] {
    const found: RequestRecord[] = [];
    for (let child = this.node.first; child !== undefined; child = child.next) {
      const record = child.observer;
      if (record instanceof RequestRecord && !record.isDone) found.push(record);
    }
    return [...found, ...this.#lateRequests];
  }

  /** Lets each connection close after its next response. */
  closeConnections(): void {
    if (this.connectionPolicy === "leave") return;
    this.closing = true;
    if (this.connectionPolicy !== "keep")
      for (const { response } of this.#connections) keepAlive(response, false);
    for (const session of this.sessions) this.#closeSession(session);
  }

  /**
   * Closes a session on the second call. `close()` refuses requests in transit, and so does any GOAWAY that Node can
   * send.
   */
  #closeSession(session: Closable): void {
    const lingers = this.connectionPolicy !== "force" && !this.#lingering.has(session);
    if (lingers) this.#lingering.add(session);
    else if (!session.closed) session.close();
  }

  addSession(session: Http2Session): void {
    if (this.sessions.has(session)) return;
    this.sessions.add(session);
    session.once("close", () => this.sessions.delete(session));
    if (this.closing) this.#closeSession(session);
  }
}

/** Sets whether the client may send further requests on the connection of a response. */
function keepAlive(response: AnyResponse, value: boolean): void {
  if ("shouldKeepAlive" in response && !response.headersSent) response.shouldKeepAlive = value;
}
