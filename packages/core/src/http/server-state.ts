import type { Server } from "node:net";
import type { Http2Session } from "node:http2";
import type { ScopeNode } from "../kernel/node.js";
import type { RequestRecord } from "./request-record.js";
import type { AnyRequest, AnyResponse } from "./types.js";

/** What can be closed softly: an HTTP/2 session, by sending GOAWAY. */
type Closable = Pick<Http2Session, "close" | "destroy" | "closed">;

/** What closes: a socket, or an HTTP/2 stream. */
interface Carrier {
  once(event: "close", listener: () => void): unknown;
}

/** A request whose response may still be open, and the earlier ones on its socket that are (pipelining). */
interface Pending {
  readonly request: AnyRequest;
  readonly response: AnyResponse;
  earlier: Pending | undefined;
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
export class ServerState {
  readonly node: ScopeNode;
  timeout: number | undefined = undefined;
  grace: number | undefined = undefined;
  deadlineHeader: string | boolean | undefined = undefined;
  /** Told to stop: connections end with the response under way. */
  closing = false;
  connections: Connections = "drain";
  /** Called whenever a request may have been the last. */
  onQuiet: (() => void) | undefined = undefined;
  /** Settles when the server has let go of its connections. */
  drained: Promise<void> | undefined = undefined;
  readonly sessions: Set<Closable> = new Set();
  readonly #lingering = new WeakSet<Closable>();
  readonly #last = new Map<Carrier, Pending>();
  #newest: RequestRecord | undefined = undefined;

  /** There is no request of the server's that was there before its scope, as far as one can tell. */
  knowsAll: boolean;

  constructor(node: ScopeNode, knowsAll: boolean) {
    this.node = node;
    this.knowsAll = knowsAll;
  }

  /** Finds out whether there are connections already. If not, whatever comes is seen. */
  lookAround(server: Server): void {
    server.getConnections((_, count) => {
      if (count === 0) this.knowsAll = true;
    });
  }

  /** Notes a request that has arrived, once. */
  track(request: AnyRequest, response: AnyResponse): void {
    const { stream } = request as { stream?: Carrier & { session?: Http2Session } };
    const carrier = request.httpVersionMajor === 2 ? stream : (request.socket as Carrier | undefined);
    const last = carrier === undefined ? undefined : this.#last.get(carrier);
    if (carrier === undefined || isIn(last, response)) return;
    if (last === undefined) {
      carrier.once("close", () => this.#last.delete(carrier));
      if (stream?.session !== undefined) this.addSession(stream.session);
    }
    const earlier = last?.response.destroyed === true ? undefined : last;
    this.#last.set(carrier, { request, response, earlier });
    if (!this.closing || this.connections === "keep") return;
    if (earlier !== undefined) keepAlive(earlier.response, true); // else this one's answer would be lost with it
    keepAlive(response, false);
  }

  /** The requests that have no complete answer yet. */
  pending(): Pending[] {
    const found: Pending[] = [];
    for (const last of this.#last.values()) {
      for (let at: Pending | undefined = last; at !== undefined; at = at.earlier)
        if (!at.response.destroyed) found.push(at);
    }
    return found;
  }

  // A linked list: a Set that as much is added to as is deleted from is rebuilt over and over.
  opened(record: RequestRecord): void {
    record.older = this.#newest;
    if (record.older !== undefined) record.older.newer = record;
    this.#newest = record;
  }

  closed(record: RequestRecord): void {
    const { older, newer } = record;
    if (older !== undefined) older.newer = newer;
    if (newer !== undefined) newer.older = older;
    else this.#newest = older;
    record.older = record.newer = undefined;
    this.onQuiet?.();
  }

  /** The requests that have a scope, and whose response is not done. */
  get records(): readonly RequestRecord[] {
    const found: RequestRecord[] = [];
    for (let at = this.#newest; at !== undefined; at = at.older) found.push(at);
    return found.toReversed();
  }

  /** Lets each connection end when its request is answered. */
  close(): void {
    if (this.connections === "leave") return;
    this.closing = true;
    if (this.connections !== "keep")
      for (const { response } of this.#last.values()) keepAlive(response, false);
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

/** Whether the request is known. Drops those before the first that is answered: a connection answers in order. */
function isIn(last: Pending | undefined, response: AnyResponse): boolean {
  for (let at = last; at !== undefined; at = at.earlier) {
    if (at.response === response) return true;
    if (at.earlier?.response.destroyed === true) at.earlier = undefined;
  }
  return false;
}

/** Without it the client sends nothing more on this connection, so that nothing can be lost with it. */
function keepAlive(response: AnyResponse, value: boolean): void {
  if ("shouldKeepAlive" in response && !response.headersSent) response.shouldKeepAlive = value;
}
