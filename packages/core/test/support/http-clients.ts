import { once } from "node:events";
import http2 from "node:http2";
import net from "node:net";
import { deferred, type Deferred } from "./deferred.js";

/** The ways in which a request reaches a server over a real socket. */
export type Transport = "http/1.1" | "keep-alive" | "pipelined" | "http/2";
export const transports: readonly Transport[] = ["http/1.1", "keep-alive", "pipelined", "http/2"];

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Whether the end of the body was reached. */
  readonly complete: boolean;
}

export interface Exchange {
  /** The answer, or the part of it that came before the connection broke; `undefined` if there was none. */
  readonly answer: Promise<Answer | undefined>;
  /** Settles when the first part of this exchange's body has come. */
  readonly started: Promise<void>;
  /** Sends another part of the body. */
  write(text: string): void;
  /** Ends the body. */
  end(): void;
  /** Goes away. */
  abort(): void;
}

export interface RequestInput {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent at once. */
  readonly body?: string;
  /** Announced, when more is sent later. */
  readonly length?: number;
}

/** One connection that sends bytes as they are told and understands what comes back, pipelining included. */
export class RawConnection {
  readonly socket: net.Socket;
  #text = "";
  #closed = false;
  #waiting: { method: string; started: Deferred<void>; answer: Deferred<Answer | undefined> }[] = [];

  constructor(port: number, host = "127.0.0.1") {
    this.socket = net.connect(port, host);
    this.socket.setEncoding("latin1");
    this.socket.on("error", () => undefined);
    this.socket.on("data", (text: string) => {
      this.#text += text;
      this.#parse();
    });
    this.socket.on("close", () => {
      this.#closed = true;
      this.#parse();
    });
  }

  request({ method = "GET", path = "/", headers = {}, body, length }: RequestInput = {}): Exchange {
    const announced = length ?? body?.length;
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    if (announced !== undefined) lines.push(`content-length: ${announced}\r\n`);
    const exchange = { method, started: deferred(), answer: deferred<Answer | undefined>() };
    this.#waiting.push(exchange);
    this.socket.write(`${method} ${path} HTTP/1.1\r\nhost: test\r\n${lines.join("")}\r\n${body ?? ""}`);
    return {
      answer: exchange.answer.promise,
      started: exchange.started.promise,
      write: (text) => void this.socket.write(text),
      end: () => undefined,
      abort: () => this.socket.destroy(),
    };
  }

  #parse(): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const parsed = parseAnswer(this.#text, first.method);
      if (parsed !== undefined && parsed.answer.body !== "") first.started.resolve();
      if (parsed?.answer.complete !== true && !this.#closed) return;
      this.#waiting.shift();
      this.#text = parsed?.rest ?? "";
      first.answer.resolve(parsed?.answer);
    }
  }
}

function parseAnswer(text: string, method: string): { answer: Answer; rest: string } | undefined {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const [first = "", ...lines] = text.slice(0, end).split("\r\n");
  const status = Number(first.split(" ")[1]);
  let rest = text.slice(end + 4);
  if (status >= 100 && status < 200 && status !== 101) return parseAnswer(rest, method);
  const headers = Object.fromEntries(
    lines.map((line) => [
      line.slice(0, line.indexOf(":")).toLowerCase(),
      line.slice(line.indexOf(":") + 1).trim(),
    ]),
  );
  const answer = (body: string, complete: boolean) => ({ answer: { status, headers, body, complete }, rest });
  if (method === "HEAD" || status === 101 || status === 204 || status === 304) return answer("", true);
  const length = Number(headers["content-length"] ?? Number.NaN);
  if (!Number.isNaN(length)) {
    const body = rest.slice(0, length);
    rest = rest.slice(length);
    return answer(body, body.length === length);
  }
  let body = "";
  for (;;) {
    const line = rest.indexOf("\r\n");
    const size = Number.parseInt(rest.slice(0, line), 16);
    if (line < 0 || Number.isNaN(size) || rest.length < line + 4 + size) return answer(body, false);
    body += rest.slice(line + 2, line + 2 + size);
    rest = rest.slice(line + 4 + size);
    if (size === 0) return answer(body, true);
  }
}

/** A request over HTTP/2. */
function requestOverHttp2(session: http2.ClientHttp2Session, input: RequestInput = {}): Exchange {
  const { method = "GET", path = "/", headers = {}, body, length } = input;
  const hasMore = length !== undefined && length !== body?.length;
  const stream = session.request(
    { ":method": method, ":path": path, ...headers },
    { endStream: body === undefined && !hasMore },
  );
  const started = deferred();
  const answer = deferred<Answer | undefined>();
  let text = "";
  let ended = false;
  let head: http2.IncomingHttpHeaders | undefined;
  stream.setEncoding("latin1");
  stream.on("error", () => undefined);
  stream.on("response", (received) => (head = received));
  stream.on("data", (chunk: string) => {
    text += chunk;
    started.resolve();
  });
  stream.on("end", () => (ended = stream.rstCode === http2.constants.NGHTTP2_NO_ERROR));
  stream.on("close", () => {
    const status = Number((head as Record<string, unknown> | undefined)?.[":status"]);
    const complete = ended && stream.rstCode === http2.constants.NGHTTP2_NO_ERROR;
    answer.resolve(
      head === undefined
        ? undefined
        : { status, headers: head as Record<string, string>, body: text, complete },
    );
  });
  if (body !== undefined) {
    if (hasMore) stream.write(body);
    else stream.end(body);
  }
  return {
    answer: answer.promise,
    started: started.promise,
    write: (chunk) => void stream.write(chunk),
    end: () => void stream.end(),
    abort: () => stream.close(http2.constants.NGHTTP2_CANCEL),
  };
}

/** A way to a server that answers `/warm-up` at once and `/first` when it is told to. */
export interface Client {
  /** The request of the test; over a pipelined connection, one that waits behind another. */
  request(input?: RequestInput): Promise<Exchange>;
  close(): void;
}

/** Opens the way that `transport` is: with an earlier request on the connection, or with one in front. */
export async function openClient(transport: Transport, port: number): Promise<Client> {
  if (transport === "http/2") {
    const session = http2.connect(`http://127.0.0.1:${port}`);
    session.on("error", () => undefined);
    await once(session, "connect");
    return {
      request: (input) => Promise.resolve(requestOverHttp2(session, input)),
      close: () => session.destroy(),
    };
  }
  const connection = new RawConnection(port);
  await once(connection.socket, "connect");
  return {
    request: async (input) => {
      if (transport === "keep-alive") await connection.request({ path: "/warm-up" }).answer;
      if (transport === "pipelined") connection.request({ path: "/first" });
      return connection.request(input);
    },
    close: () => connection.socket.destroy(),
  };
}
