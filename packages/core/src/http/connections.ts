import { subscribe } from "node:diagnostics_channel";
import type { Server as HttpServer, ServerResponse } from "node:http";
import type { Http2Session, ServerHttp2Stream } from "node:http2";
import type { Server, Socket } from "node:net";
import type { AnyRequest, AnyResponse } from "./messages.js";
import { connectionKey, connectionsKey, disable, replaceCloseIdle, type lastRequestKey } from "./symbols.js";
import { onTurn, realTimers } from "../kernel/platform.js";
import { settlesWithin } from "./timed-waits.js";

// The connections of a server: its sockets, its HTTP/2 sessions, and the requests of each connection. This file
// determines which of them are in use, silent or upgraded, and stops accepting more. shutdown.ts decides when to close
// one. Nothing here depends on scopes.
//
//   accepted ──► idle ◄──► in use: a request is being answered, or an answer is being sent
//      │          │
//      │          └──► upgraded: belongs to the listener of `upgrade` or `connect`, and may stay open for ever
//      └─ silent: receives nothing during several checks, in the middle of a request or without one

/** The fields that Node keeps on a socket of HTTP/1.1. */
interface HttpSocket extends Socket {
  /** The current response, until its last byte has been passed to the operating system. */
  _httpMessage?: ServerResponse | null;
  /** `null` once the socket has been upgraded, or given to a `connect` listener. */
  parser?: object | null;
  /** The TCP socket below a TLS socket. */
  _parent?: Socket | null;
}

/** An accepted connection. */
export class Connection {
  readonly #raw: Socket;
  /** The socket that requests come through. With TLS it is known after the handshake. */
  #socket: HttpSocket;
  session: Http2Session | undefined = undefined;
  #bytesRead = -1;
  /** For how many checks it has received nothing. */
  #silentChecks = 0;

  constructor(raw: Socket) {
    this.#raw = this.#socket = raw;
  }

  /** Called after the handshake of TLS. */
  setSecureSocket(socket: HttpSocket): void {
    this.#socket = socket;
  }

  /**
   * The HTTP/1.1 response that is being written or sent. Node treats a connection as idle as soon as its response has
   * ended.
   */
  get response(): ServerResponse | undefined {
    return this.#socket._httpMessage ?? undefined;
  }

  /** Whether a request is being answered, or an answer is being sent. */
  get isInUse(): boolean {
    // A closing session destroys itself with its last stream, and then waits for its peer.
    if (this.session !== undefined) return !this.session.destroyed;
    return this.response !== undefined || this.#socket.writableLength > 0;
  }

  /** Whether it was upgraded, or carries a WebSocket over HTTP/2. Then it may stay open for ever. */
  get isUpgraded(): boolean {
    if (this.session !== undefined) return (tunnels.get(this.session) ?? 0) > 0;
    return this.response === undefined && this.#socket.parser === null;
  }

  /** Whether it has received nothing during the last `checks` calls. */
  isSilentFor(checks: number): boolean {
    const { bytesRead } = this.#raw;
    this.#silentChecks = bytesRead === this.#bytesRead ? this.#silentChecks + 1 : 0;
    this.#bytesRead = bytesRead;
    return this.#silentChecks >= checks;
  }

  /** Disables `destroy()` of its socket until the returned function is called. */
  protect(): () => void {
    return disable(this.#socket, "destroy");
  }

  destroy(): void {
    this.session?.destroy();
    this.#socket.destroy();
    this.#raw.destroy();
  }
}

/** How many streams of a session were opened by CONNECT. */
const tunnels = new WeakMap<Http2Session, number>();

/** The slot of a server. See symbols.ts. */
interface ServerSlots extends Server {
  [connectionsKey]?: Connections;
}

/** The slot of a socket. See symbols.ts. */
interface SocketSlots {
  [connectionKey]?: Connection;
}

/** A request whose response may be open, with the earlier open ones of its connection (pipelining). */
export interface OpenRequest {
  readonly request: AnyRequest;
  readonly response: AnyResponse;
  earlier: OpenRequest | undefined;
}

/** The socket or HTTP/2 stream of a request. */
export interface Transport {
  [lastRequestKey]?: LastRequest;
  /** A mock may be any object. */
  prependOnceListener?(event: "close", listener: () => void): unknown;
}

/** The server of a request. */
interface ConnectionOwner {
  /** Called when the connection has closed. */
  onClose(connection: LastRequest): void;
}

/**
 * The last request of a connection to a server. One object serves all requests of the connection, to make each cheaper.
 */
export class LastRequest implements OpenRequest {
  /** The state of the server. A server that listens again after `close()` has a new one. */
  readonly server: ConnectionOwner;
  /** The same for another server, to which a handler passes requests on. */
  next: LastRequest | undefined = undefined;
  /** Whether the transport is the mock of a test or of a serverless platform, which may never close. */
  isMock = false;
  request: AnyRequest;
  response: AnyResponse;
  earlier: OpenRequest | undefined = undefined;

  constructor(server: ConnectionOwner, request: AnyRequest, response: AnyResponse) {
    this.server = server;
    this.request = request;
    this.response = response;
  }

  /** Makes `request` the last one. Returns false if it was added before. */
  add(request: AnyRequest, response: AnyResponse): boolean {
    // A connection answers in order: when a response is done, so are the earlier ones, and the next one gets the
    // socket.
    for (let at: OpenRequest | undefined = this; at !== undefined; at = at.earlier) {
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
 * The open connections of a server, with or without a request. Node's own list lacks connections during their TLS
 * handshake. Node does not treat a connection as idle that has sent nothing, or half a request.
 *
 * Costs nothing per request.
 */
export class Connections implements Iterable<Connection> {
  /** Whether a `listen()` is in progress, for example during the look-up of a host name. */
  isBinding = false;
  /** Whether the list contains every connection: the server did not listen yet when it was created. */
  readonly isComplete: boolean;
  /** HTTP/2 streams that a listener of `stream` answers, without Node's compatibility API. */
  readonly streams: Set<ServerHttp2Stream> = new Set();
  readonly #open = new Set<Connection>();

  constructor(server: Server) {
    this.isComplete = !server.listening;
    // Before Node's own listener, which creates the HTTP/2 session synchronously.
    server.prependListener("connection", (socket: Socket) => this.#add(socket));
    server.prependListener("secureConnection", (socket: HttpSocket) => {
      const connection = this.#add(socket._parent ?? socket);
      (socket as SocketSlots)[connectionKey] = connection;
      connection.setSecureSocket(socket);
    });
    server.on("session", (session: Http2Session) => {
      const { socket } = session; // a proxy with the properties of the socket
      const connection = (socket as SocketSlots)[connectionKey];
      if (connection !== undefined) connection.session = session;
    });
    server.on("close", () => (this.isBinding = false)); // `close()` cancels a `listen()` without an event
  }

  [Symbol.iterator](): IterableIterator<Connection> {
    return this.#open.values();
  }

  /** Adds a stream that a listener of `stream` answers. */
  addStream(stream: ServerHttp2Stream): void {
    this.streams.add(stream);
    stream.once("close", () => this.streams.delete(stream));
  }

  /** Adds a stream that was opened by CONNECT, for example a WebSocket. It belongs to its listener. */
  addTunnel(stream: ServerHttp2Stream): void {
    const { session } = stream;
    if (session === undefined) return;
    tunnels.set(session, (tunnels.get(session) ?? 0) + 1);
    stream.once("close", () => tunnels.set(session, (tunnels.get(session) ?? 1) - 1));
  }

  #add(socket: Socket & SocketSlots): Connection {
    const known = socket[connectionKey];
    if (known !== undefined) return known;
    const connection = new Connection(socket);
    socket[connectionKey] = connection;
    this.#open.add(connection);
    socket.once("close", () => this.#open.delete(connection));
    return connection;
  }
}

/** The connections of `server`: those accepted after the first call, or after a `listen()` that this module has seen. */
export function connectionsOf(server: Server): Connections {
  return ((server as ServerSlots)[connectionsKey] ??= new Connections(server));
}

/** Keeps `closeIdleConnections()` of a server from closing connections whose answer is still being sent. */
export function protectSending(server: Server): void {
  const connections = connectionsOf(server);
  replaceCloseIdle(server, (closeIdleConnections) => {
    const restore: (() => void)[] = [];
    for (const connection of connections) if (connection.isInUse) restore.push(connection.protect());
    try {
      closeIdleConnections();
    } finally {
      for (const undo of restore) undo();
    }
  });
}

// The scope of a server may be created at its first request, when connections are open that Node does not list.
subscribe("tracing:net.server.listen:asyncStart", (message) => {
  const { server } = message as { server: Server };
  if (isHttp(server)) connectionsOf(server).isBinding = true;
});
for (const event of ["asyncEnd", "error"])
  subscribe(`tracing:net.server.listen:${event}`, (message) => {
    const connections = (message as { server: ServerSlots }).server[connectionsKey];
    if (connections !== undefined) connections.isBinding = false;
  });

/** Servers of `node:net` and `node:tls` have no `setTimeout`. */
function isHttp(server: Server): boolean {
  return typeof (server as Partial<HttpServer>).setTimeout === "function";
}

/**
 * Stops accepting connections, and calls back when the last one is closed.
 *
 * @param lingering - The HTTP/2 sessions of the server, if requests in transit must be accepted. Otherwise `close()`
 * closes idle keep-alive connections immediately, and since Node 24 refuses every new stream of a session.
 */
export function stopListening(
  server: Server,
  lingering: Iterable<object> | undefined,
  done: () => void,
): void {
  if (!server.listening) {
    if (connectionsOf(server).isBinding) return void server.close(() => done()); // cancels the `listen()`
    server.getConnections((_, count) => (count > 0 ? server.once("close", done) : done()));
    return;
  }
  const restore: (() => void)[] = [];
  if (lingering !== undefined) {
    restore.push(disable(server, "closeIdleConnections"));
    for (const session of lingering) restore.push(disable(session, "close"));
  }
  try {
    server.close(() => done());
  } finally {
    for (const undo of restore) undo();
  }
}

/** How long to wait for the look-up of a host name, in ms. */
const MAX_BINDING = 1_000;

/**
 * Resolves when no `listen()` is in progress, or with `false` after a time limit. Node emits no event for a `listen()`
 * that `close()` has cancelled, so `await once(server, "listening")` would never return.
 */
export function waitForBinding(server: Server): Promise<boolean> | undefined {
  if (!connectionsOf(server).isBinding) return undefined;
  const bound = new Promise<void>((resolve) => {
    const onEvent = (): void => {
      for (const event of events) server.off(event, onEvent);
      onTurn(resolve); // other listeners of the event may read the server's address
    };
    const events = ["listening", "error", "close"];
    for (const event of events) server.on(event, onEvent);
  });
  return settlesWithin(MAX_BINDING, bound, realTimers);
}
