// A small client of the Chrome DevTools Protocol: calls with answers, and events.
// https://chromedevtools.github.io/devtools-protocol/v8/

interface Pending {
  readonly resolve: (result: never) => void;
  readonly reject: (error: Error) => void;
}

/** The process has refused a call. */
class ProtocolError extends Error {
  override readonly name: string = "ProtocolError";
}

/** The connection is closed. */
export class SessionClosed extends Error {
  override readonly name: string = "SessionClosed";
}

/** A connection to the inspector of a process. */
export class DebuggingSession {
  readonly #socket: WebSocket;
  readonly #pending = new Map<number, Pending>();
  readonly #listeners = new Map<string, (parameters: never) => void>();
  readonly #closed = new SessionClosed("the process has ended, or closed its inspector");
  #last = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => this.#receive(JSON.parse(String(data))));
    socket.addEventListener("close", () => {
      for (const { reject } of this.#pending.values()) reject(this.#closed);
      this.#pending.clear();
    });
  }

  /** Connects to the inspector on a port of this machine. Returns `undefined` if none listens there. */
  static async connect(port: number): Promise<DebuggingSession | undefined> {
    const url = await inspectorUrl(port);
    if (url === undefined) return undefined;
    const socket = new WebSocket(url);
    await new Promise<void>((resolve, reject) => {
      socket.addEventListener("open", () => resolve(), { once: true });
      socket.addEventListener("error", () => reject(new Error(`can't connect to ${url}`)), { once: true });
    });
    return new DebuggingSession(socket);
  }

  call<T>(method: string, parameters: object = {}): Promise<T> {
    if (this.#socket.readyState !== WebSocket.OPEN) return Promise.reject(this.#closed);
    const id = ++this.#last;
    return new Promise<T>((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#socket.send(JSON.stringify({ id, method, params: parameters }));
    });
  }

  /** Calls `listener` for each event of this name. A name has one listener. */
  on<T>(event: string, listener: (parameters: T) => void): void {
    this.#listeners.set(event, listener);
  }

  async close(): Promise<void> {
    const { readyState } = this.#socket;
    if (readyState === WebSocket.CLOSED) return;
    await new Promise<void>((resolve) => {
      this.#socket.addEventListener("close", () => resolve(), { once: true });
      this.#socket.close();
    });
  }

  #receive(message: {
    id?: number;
    result?: never;
    error?: { message: string };
    method?: string;
    params?: never;
  }): void {
    const { id, result, error, method, params } = message;
    if (id === undefined) {
      if (method !== undefined) this.#listeners.get(method)?.(params as never);
      return;
    }
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if (error === undefined) pending?.resolve(result as never);
    else pending?.reject(new ProtocolError(error.message));
  }
}

/** How long an inspector may take to answer, in ms. A separate thread answers, even while the process is busy. */
const RESPONSE_TIMEOUT = 2_000;

async function inspectorUrl(port: number): Promise<string | undefined> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/json/list`, {
      signal: AbortSignal.timeout(RESPONSE_TIMEOUT),
    });
    const targets: unknown = await response.json();
    if (!Array.isArray(targets)) return undefined;
    const [target] = targets as { webSocketDebuggerUrl?: unknown }[];
    return typeof target?.webSocketDebuggerUrl === "string" ? target.webSocketDebuggerUrl : undefined;
  } catch {
    return undefined; // no HTTP, or no JSON: no inspector
  }
}
