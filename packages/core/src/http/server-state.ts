import type { Http2Session } from "node:http2";
import { createReason } from "../errors/cancelled.js";
import type { ScopeNode } from "../kernel/node.js";
import type { Connection } from "./connections.js";
import { Draining } from "../process/shutdown-notice.js";
import { recordOf, RequestRecord, responderOf, type RequestHost } from "./request.js";
import { NodeResponder } from "./node-responder.js";
import type { OutcomeHooks, Responder } from "./responder.js";
import { keepTime } from "./server-clock.js";
import { lastRequestKey, markDisconnected } from "./symbols.js";
import { isResponse, nameOf, type AnyRequest, type AnyResponse } from "./messages.js";

/** What the cleanup of a server's scope is called that waits for the end of its shutdown. */
export const SHUTDOWN = "the shutdown of its server";

/** What can be closed softly: an HTTP/2 session, by sending GOAWAY. */
type Closable = Pick<Http2Session, "close" | "destroy" | "closed">;

/** What requests come through: a socket, or an HTTP/2 stream. */
interface Carrier {
  [lastRequestKey]?: LastRequest;
  prependOnceListener(event: "close", listener: () => void): unknown;
}

/** A request whose response may still be open, and the earlier ones on its connection that are (pipelining). */
interface Pending {
  readonly request: AnyRequest;
  readonly response: AnyResponse;
  earlier: Pending | undefined;
}

/** A connection and its last request: one object for all that come through it, as it costs each of them less. */
class LastRequest implements Pending {
  readonly server: ServerState;
  request: AnyRequest;
  response: AnyResponse;
  earlier: Pending | undefined = undefined;

  constructor(server: ServerState, request: AnyRequest, response: AnyResponse) {
    this.server = server;
    this.request = request;
    this.response = response;
  }

  /** Says whether the request is news. */
  add(request: AnyRequest, response: AnyResponse): boolean {
    // A connection answers in order: when a response is done, so are those before it, and the next gets the socket.
    for (let at: Pending | undefined = this; at !== undefined; at = at.earlier) {
      if (at.response === response) return false;
      if (at.earlier?.response.destroyed === true) at.earlier = undefined;
    }
    const isNext = "assignSocket" in response && response.socket !== null;
    const { request: before, response: itsResponse, earlier } = this;
    this.earlier =
      isNext || itsResponse.destroyed ? undefined : { request: before, response: itsResponse, earlier };
    this.request = request;
    this.response = response;
    return true;
  }
}

/**
 * What a shutdown does with the server's connections.
 *
 * - `"drain"`: tells them to end, gives them the time to bring what is on its way, and closes them.
 * - `"force"`: tells them to end, and closes idle ones at once.
 * - `"keep"`: tells them nothing, since the framework answers what they still bring, and closes idle ones.
 * - `"leave"`: nothing; the server goes on, as it is somebody else's.
 */
export type Connections = "drain" | "force" | "keep" | "leave";

/**
 * What a server's scope knows about its server's requests, whether their handlers ever ask for a scope or not.
 * Costs one entry per connection and no listener per request, save on HTTP/2.
 */
export class ServerState implements RequestHost<AnyRequest, AnyResponse> {
  readonly node: ScopeNode;
  timeout: number | undefined = undefined;
  grace: number | undefined = undefined;
  drainDelay: number | undefined = undefined;
  readonly draining: Draining;
  /** The state that the server had before, if it has not listened since. */
  before: ServerState | undefined = undefined;
  deadlineHeader: string | boolean | undefined = undefined;
  /** Told to stop: connections end with the response under way. */
  closing = false;
  connections: Connections = "drain";
  /** What a framework still does when a `listen()` of its server's that was under way has come to its end. */
  afterListen: (() => Promise<unknown>) | undefined = undefined;
  /** Called whenever a request may have been the last. */
  onQuiet: (() => void) | undefined = undefined;
  /** What the application wants of requests that are cancelled. */
  hooks: OutcomeHooks<never, never> | undefined = undefined;
  /** Settles when the server has let go of its connections. */
  drained: Promise<void> | undefined = undefined;
  readonly sessions: Set<Closable> = new Set();
  readonly #lingering = new WeakSet<Closable>();
  readonly #connections = new Set<LastRequest>();
  /** Those that came when the scope had ended, and so are not in it. */
  readonly #late = new Set<RequestRecord>();

  constructor(node: ScopeNode) {
    this.node = node;
    this.draining = new Draining(node);
    keepTime();
  }

  /** Notes what is going on already, and what the server is not told of since its client expects something. */
  adopt(connections: Iterable<Connection>): void {
    for (const { response, session } of connections) {
      if (session !== undefined) this.addSession(session);
      if (response !== undefined) this.track(response.req, response);
    }
  }

  /** Notes a request that has arrived, once. */
  track(request: AnyRequest, response: AnyResponse): void {
    const { stream } = request as { stream?: Carrier & { session?: Http2Session } };
    const carrier = request.httpVersionMajor === 2 ? stream : (request.socket as Carrier | undefined);
    if (carrier === undefined) return;
    const known = carrier[lastRequestKey];
    if (known?.server !== this) this.#connect(carrier, new LastRequest(this, request, response));
    else if (!known.add(request, response)) return;
    if (stream?.session !== undefined) this.addSession(stream.session);
    if (!this.closing || this.connections === "keep") return;
    const { earlier } = carrier[lastRequestKey] as LastRequest;
    if (earlier !== undefined) keepAlive(earlier.response, true); // else this one's answer would be lost with it
    keepAlive(response, false);
  }

  #connect(carrier: Carrier, connection: LastRequest): void {
    carrier[lastRequestKey] = connection;
    this.#connections.add(connection);
    // Before Node tells the responses of it: who hears of that finds the status set.
    carrier.prependOnceListener("close", () => {
      this.#connections.delete(connection);
      for (let at: Pending | undefined = connection; at !== undefined; at = at.earlier) this.#lost(at);
    });
  }

  /** The client of a request is gone; unless it has its answer. */
  #lost({ request, response }: Pending): void {
    const record = recordOf(request);
    if (record !== undefined) return record.done();
    if (!isResponse(response) || response.writableEnded) return;
    markDisconnected(response);
    const responder = responderOf(request) ?? (this.hooks && this.createResponder(request, response));
    if (responder === undefined) return;
    const path = `${this.node.path}/${responder.name ?? nameOf(request)}`;
    responder.log({ status: 499, error: createReason("disconnected", path, undefined) }, false);
  }

  /** The requests that have no complete answer yet. */
  pending(): Pending[] {
    const found: Pending[] = [];
    for (const last of this.#connections) {
      for (let at: Pending | undefined = last; at !== undefined; at = at.earlier)
        if (!at.response.destroyed) found.push(at);
    }
    return found;
  }

  addLate(record: RequestRecord): void {
    this.#late.add(record);
  }

  createResponder(request: AnyRequest, response: AnyResponse): Responder {
    return new NodeResponder(request, response, this.hooks);
  }

  /** The response of a request is done. */
  onDone(record: RequestRecord): void {
    if (this.#late.size > 0) this.#late.delete(record);
    this.onQuiet?.();
  }

  /** The requests that have a scope, and whose response is not done. */
  get records(): readonly RequestRecord[] {
    const found: RequestRecord[] = [];
    for (let child = this.node.first; child !== undefined; child = child.next) {
      const record = child.observer;
      if (record instanceof RequestRecord && !record.isDone) found.push(record);
    }
    return [...found, ...this.#late];
  }

  /** Lets each connection end when its request is answered. */
  close(): void {
    if (this.connections === "leave") return;
    this.closing = true;
    if (this.connections !== "keep") for (const { response } of this.#connections) keepAlive(response, false);
    for (const session of this.sessions) this.#closeSession(session);
  }

  /** Not on the first call: `close()` refuses what is on its way, as does any GOAWAY that Node can send. */
  #closeSession(session: Closable): void {
    const lingers = this.connections !== "force" && !this.#lingering.has(session);
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

/** Without it the client sends nothing more on this connection, so that nothing can be lost with it. */
function keepAlive(response: AnyResponse, value: boolean): void {
  if ("shouldKeepAlive" in response && !response.headersSent) response.shouldKeepAlive = value;
}
