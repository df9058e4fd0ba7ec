import { subscribe } from "node:diagnostics_channel";
import type { Server as HttpServer, ServerResponse } from "node:http";
import type { Http2Session, ServerHttp2Stream } from "node:http2";
import type { Server, Socket } from "node:net";
import { connectionKey, connectionsKey, disable } from "./symbols.js";
import { onTurn, realTimers } from "../kernel/platform.js";
import { within } from "./within.js";

/** What Node keeps on a socket that speaks HTTP/1.1. */
interface HttpSocket extends Socket {
  /** The response whose turn it is, until its last byte has been handed to the operating system. */
  _httpMessage?: ServerResponse | null;
  /** `null` once the socket has been upgraded, or given to a `connect` listener. */
  parser?: object | null;
  /** The socket below one of TLS. */
  _parent?: Socket | null;
}

/** An accepted connection. */
export class Connection {
  readonly #raw: Socket;
  /** The socket that requests come through: with TLS, known when the handshake is done. */
  #socket: HttpSocket;
  session: Http2Session | undefined = undefined;
  #bytes = -1;
  /** How many sweeps ago it brought something. */
  #silentFor = 0;

  constructor(raw: Socket) {
    this.#raw = this.#socket = raw;
  }

  secured(socket: HttpSocket): void {
    this.#socket = socket;
  }

  /** The HTTP/1.1 response that is being made or sent. Node calls a connection idle as soon as its response has ended. */
  get response(): ServerResponse | undefined {
    return this.#socket._httpMessage ?? undefined;
  }

  /** Whether a request is being answered, or an answer is being sent. */
  get isInUse(): boolean {
    // A session that was told to close destroys itself with its last stream, and then waits for its peer.
    if (this.session !== undefined) return !this.session.destroyed;
    return this.response !== undefined || this.#socket.writableLength > 0;
  }

  /** Whether it belongs to somebody who has upgraded it, or who speaks WebSocket over its HTTP/2: it may stay for ever. */
  get isUpgraded(): boolean {
    if (this.session !== undefined) return (tunnels.get(this.session) ?? 0) > 0;
    return this.response === undefined && this.#socket.parser === null;
  }

  /** Whether it has brought nothing for so many calls of this. */
  isSilentFor(calls: number): boolean {
    const { bytesRead } = this.#raw;
    this.#silentFor = bytesRead === this.#bytes ? this.#silentFor + 1 : 0;
    this.#bytes = bytesRead;
    return this.#silentFor >= calls;
  }

  /** Makes `destroy()` do nothing, until what this returns is called. */
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

interface Watched extends Server {
  [connectionsKey]?: Connections;
}

interface Known {
  [connectionKey]?: Connection;
}

/**
 * The open connections of a server, whether they have ever brought a request or not: Node lists none that has not
 * finished its TLS handshake, and does not count those as idle that have sent nothing, or half a request.
 *
 * Hangs on the server, and costs nothing per request.
 */
export class Connections implements Iterable<Connection> {
  /** A `listen()` has not come to its end: a host name is being looked up, say. */
  isBinding = false;
  /** Whether none can have been opened before the first look at the server. */
  readonly areAllKnown: boolean;
  /** Streams of HTTP/2 that are answered by themselves, without the compatibility API. */
  readonly streams: Set<ServerHttp2Stream> = new Set();
  readonly #open = new Set<Connection>();

  constructor(server: Server) {
    this.areAllKnown = !server.listening;
    // In front of Node's own listener, which makes the session of HTTP/2 at once.
    server.prependListener("connection", (socket: Socket) => this.#add(socket));
    server.prependListener("secureConnection", (socket: HttpSocket) => {
      const connection = this.#add(socket._parent ?? socket);
      (socket as Known)[connectionKey] = connection;
      connection.secured(socket);
    });
    server.on("session", (session: Http2Session) => {
      const { socket } = session; // a proxy, which shows the properties of the socket
      const connection = (socket as Known)[connectionKey];
      if (connection !== undefined) connection.session = session;
    });
    server.on("close", () => (this.isBinding = false)); // `close()` cancels a `listen()` without another word
  }

  [Symbol.iterator](): IterableIterator<Connection> {
    return this.#open.values();
  }

  /** Notes a stream that somebody answers who listens for streams. */
  addStream(stream: ServerHttp2Stream): void {
    this.streams.add(stream);
    stream.once("close", () => this.streams.delete(stream));
  }

  /** Notes a stream that was opened by CONNECT, as a WebSocket's is. It is nobody's but its listener's. */
  addTunnel(stream: ServerHttp2Stream): void {
    const { session } = stream;
    if (session === undefined) return;
    tunnels.set(session, (tunnels.get(session) ?? 0) + 1);
    stream.once("close", () => tunnels.set(session, (tunnels.get(session) ?? 1) - 1));
  }

  #add(socket: Socket & Known): Connection {
    const known = socket[connectionKey];
    if (known !== undefined) return known;
    const connection = new Connection(socket);
    socket[connectionKey] = connection;
    this.#open.add(connection);
    socket.once("close", () => this.#open.delete(connection));
    return connection;
  }
}

/** The connections of `server`, as far as they were opened after the first call, or after this module was loaded. */
export function connectionsOf(server: Server): Connections {
  return ((server as Watched)[connectionsKey] ??= new Connections(server));
}

/**
 * Lets `closeIdleConnections()`, which `close()` calls too, spare the connections whose answer has ended and is still
 * being sent.
 */
export function spareSending(server: Server): void {
  const { closeIdleConnections: original } = server as Partial<HttpServer>;
  if (typeof original !== "function" || sparing.has(server)) return;
  sparing.add(server);
  const connections = connectionsOf(server);
  const value = function closeIdleConnections(): void {
    const restore: (() => void)[] = [];
    for (const connection of connections) if (connection.isInUse) restore.push(connection.protect());
    try {
      original.call(server as HttpServer);
    } finally {
      for (const undo of restore) undo();
    }
  };
  Object.defineProperty(server, "closeIdleConnections", { value, writable: true, configurable: true });
}

const sparing = new WeakSet<Server>();

// A server's scope may be made at its first request. By then connections are open, of which nothing tells any more.
subscribe("tracing:net.server.listen:asyncStart", (message) => {
  const { server } = message as { server: Server };
  if (isHttp(server)) connectionsOf(server).isBinding = true;
});
for (const event of ["asyncEnd", "error"])
  subscribe(`tracing:net.server.listen:${event}`, (message) => {
    const connections = (message as { server: Watched }).server[connectionsKey];
    if (connections !== undefined) connections.isBinding = false;
  });

/** Servers of `node:net` and `node:tls` have no such method. */
function isHttp(server: Server): boolean {
  return typeof (server as Partial<HttpServer>).setTimeout === "function";
}

/**
 * Stops accepting connections, and calls back when the last one is closed.
 *
 * @param lingering - The server's sessions of HTTP/2, if what is on its way is to come in yet. By itself `close()` drops
 *   idle keep-alive connections at once, and from Node 24 refuses each new stream of a session.
 */
export function stopListening(
  server: Server,
  lingering: Iterable<object> | undefined,
  done: () => void,
): void {
  if (!server.listening) {
    if (connectionsOf(server).isBinding) return void server.close(() => done()); // cancels that
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

/** How long to wait for a name that is looked up before that is given up. */
const MAX_BINDING = 1_000;

/**
 * Resolves when no `listen()` is under way any more. Who waits for that one hears of its end, as Node says nothing of a
 * `listen()` that `close()` has cancelled: `await once(server, "listening")` would wait for ever. `false`: it takes too long.
 */
export function whenBound(server: Server): Promise<boolean> | undefined {
  if (!connectionsOf(server).isBinding) return undefined;
  const bound = new Promise<void>((resolve) => {
    const over = (): void => {
      for (const event of events) server.off(event, over);
      onTurn(resolve); // whoever waits for the event may look at the server's address
    };
    const events = ["listening", "error", "close"];
    for (const event of events) server.on(event, over);
  });
  return within(MAX_BINDING, bound, realTimers);
}
